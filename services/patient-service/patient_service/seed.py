"""Demo patients with ids that examples may name; seeded once per database, through the outbox like any other."""

from datetime import date
from uuid import UUID

from chassis.transaction import Transaction

from patient_service import accounts, registration
from patient_service.schemas import PatientCreate

_FIRST = UUID("123e4567-e89b-12d3-a456-426614174000")

_PEOPLE = (
    ("John Doe", "john.doe@example.com", "123 Main St, Springfield", date(1985, 6, 15), "+1-555-0101", "M"),
    ("Maria Santos", "maria.santos@example.com", "8 Harbour Road, Porto", date(1990, 9, 23), "+351-555-0102", "F"),
    ("Aiko Tanaka", "aiko.tanaka@example.com", "4-2 Sakura Lane, Kyoto", date(1978, 3, 4), None, "F"),
    ("Samuel Okafor", "samuel.okafor@example.com", "77 Palm Avenue, Lagos", date(2001, 12, 1), "+234-555-0104", "M"),
    ("Ingrid Larsen", "ingrid.larsen@example.com", "15 Fjord View, Bergen", date(1966, 1, 30), None, None),
)


async def seed(tx: Transaction, today: date) -> None:
    """Registers them, and asks for their billing accounts by event: the process is only starting."""
    people = []
    for number, (name, email, address, born, phone, gender) in enumerate(_PEOPLE):
        person = PatientCreate(name=name, email=email, address=address, date_of_birth=born, phone=phone, gender=gender)
        people.append(registration.registration(person, today, UUID(int=_FIRST.int + number)))
    answers = await registration.register_patients(tx, people)
    await accounts.request_accounts(tx, [each for each in answers if not isinstance(each, Exception)])
