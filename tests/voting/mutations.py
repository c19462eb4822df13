"""Spoiled bundles and annexes, each with the check that must be the first to fail."""

from __future__ import annotations

from tests.voting.mutations_attendance import ATTENDANCE_MUTATIONS
from tests.voting.mutations_meeting import MEETING_MUTATIONS, Mutation
from tests.voting.mutations_people import PEOPLE_MUTATIONS
from tests.voting.mutations_votes import VOTE_MUTATIONS

MUTATIONS: list[Mutation] = [*MEETING_MUTATIONS, *VOTE_MUTATIONS, *PEOPLE_MUTATIONS, *ATTENDANCE_MUTATIONS]
