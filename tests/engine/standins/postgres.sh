#!/bin/bash
# PostgreSQL as the official image starts it: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, PGDATA, initdb.d.
set -euo pipefail
programs=(/usr/lib/postgresql/*/bin)
export PATH=${programs[0]}:$PATH
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /var/run/postgresql
  chown -R postgres:postgres "$PGDATA" /var/run/postgresql
  chmod 700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
[ -z "${POSTGRES_PASSWORD_FILE:-}" ] || POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
run() { psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$user" -d "${RUN_IN:-$database}" "$@"; }
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?POSTGRES_PASSWORD is not set}"
  export PGPASSWORD=$POSTGRES_PASSWORD
  # shellcheck disable=SC2086 (several arguments are meant)
  initdb -U "$user" --pwfile=<(printf '%s' "$POSTGRES_PASSWORD") -E UTF8 --locale=C.UTF-8 ${POSTGRES_INITDB_ARGS:-} >/dev/null
  echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >> "$PGDATA/pg_hba.conf"
  pg_ctl -o "-c listen_addresses=''" -w start >/dev/null
  [ "$database" = postgres ] || RUN_IN=postgres run -q -c "CREATE DATABASE \"$database\""
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sql) run -f "$file" ;;
      *.sh) . "$file" ;;
    esac
  done
  pg_ctl -m fast -w stop >/dev/null
fi
exec "$@" -c listen_addresses='*'
