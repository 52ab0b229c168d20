"""Faults and hostile bytes by the thousand: ``docs/faults.md`` says what came of them."""
