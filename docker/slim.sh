#!/bin/sh
# slim.sh DIRECTORY: takes out of installed wheels what no running program reads.
set -eu
# The symbols of extension modules that only a debugger asks for.
find "$1" -type f -name '*.so*' -exec strip --strip-unneeded {} +
# What extensions were compiled from, and type stubs.
find "$1" -type f \( -name '*.c' -o -name '*.h' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' \) -delete
# The libraries' own tests.
find "$1" -path '*/site-packages/*' -type d -name tests -prune -exec rm -r {} +
# The descriptions of the services of AWS: 400 of them, and we talk to three (STS is where a pod's credentials come from).
find "$1" -path '*/botocore/data/*' -prune -type d ! -name s3 ! -name sns ! -name sts -exec rm -r {} +
