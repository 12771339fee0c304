"""One tree of exceptions; the server translates it to gRPC statuses at one edge.

    BudgetMemError
     +- InvalidInput          the caller sent something unusable; `field` names it
     |   +- DuplicateTurn     a turn id came twice with different content
     |   +- HistoryFull       the write would make a history longer than the server keeps
     +- Unauthenticated       no credential, or one that is not (or no longer) valid
     +- PermissionDenied      a valid credential that does not allow this call
     +- NotFound              a history (or asset, profile, prompt) that is not there
     +- BudgetTooSmall        a ceiling below what the request needs at least
     +- ReplyError            an LLM reply that does not parse (handled inside: falls one rung)
     +- Conflict              a concurrent writer won; the write may be repeated
     +- BackboneError         a backbone, encoder or task model failed
     |   +- BackboneUnavailable   it cannot be reached, or died in the middle: worth a retry
     +- StoreUnavailable      what keeps the histories cannot be reached: worth a retry
     +- StoreDamaged          what keeps a history is not what was written: a retry does not help
     +- DeadlineExceeded      the request's time is over
     +- Overloaded            too much work is waiting; `retry_after_ms` says when to come back
     +- ServerError           seen by the client: the server failed, or is of another version
     |   +- ServerUnavailable     it cannot be reached, is starting or stopping: worth a retry
     +- AssetError            an asset is missing, corrupt or refused
     +- ConfigError           a profile or an option that cannot work

Each message says what is wrong and what to do.
"""

from __future__ import annotations


class BudgetMemError(Exception):
    """Root of every error that BudgetMem raises on purpose."""


class InvalidInput(BudgetMemError):
    """Bad input. `field` is the path of the offending field, for example `turns[3].text`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class DuplicateTurn(InvalidInput):
    """A turn id that is already taken by a turn with other content."""


class HistoryFull(InvalidInput):
    """A write that would make its history longer than the server keeps. Nothing was written.

    A retry does not help: the history has to be deleted, or the turns go to another one.
    """


class Unauthenticated(BudgetMemError):
    """The call came without a credential, or with one that is not, or no longer, valid."""


class PermissionDenied(BudgetMemError):
    """The credential is valid, but not for this call, or not for this tenant."""


class NotFound(BudgetMemError):
    """Something that was named does not exist."""


class BudgetTooSmall(BudgetMemError):
    """A ceiling leaves no room for what the request needs at least."""


class ReplyError(BudgetMemError):
    """An LLM reply that is empty, cut off or not of the form that was asked for."""


class Conflict(BudgetMemError):
    """A concurrent writer changed the same session first."""


class BackboneError(BudgetMemError):
    """A model server answered with an error."""


class BackboneUnavailable(BackboneError):
    """A model server cannot be reached, is not ready, or went away in the middle of a call.

    `retry_after_s` is what the server asked for, in seconds; None if it did not say. `reached` is
    False if it is known that the call never came to the model, and so cost nothing. `again` is set
    where the same call is worth making once more, by whoever can pay for it twice.
    """

    def __init__(
        self, message: str, retry_after_s: float | None = None, *, reached: bool = True
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reached = reached
        self.again = False


class StoreUnavailable(BudgetMemError):
    """The database that keeps the histories cannot be reached, or went away in the middle of a
    call, whose outcome then is unknown; or a disk is full, or fails. Every call may be made
    again."""


class StoreDamaged(BudgetMemError):
    """What keeps a history was changed by something else than this library. A file can be deleted
    or restored from a backup, nothing else, and other histories are not concerned; the pages of a
    database are its operator's to restore, and may be those of all histories."""


class DeadlineExceeded(BudgetMemError):
    """The caller's deadline or latency ceiling passed."""


class Overloaded(BudgetMemError):
    """Too much work is waiting. `retry_after_ms` is a hint, in milliseconds."""

    def __init__(self, message: str, retry_after_ms: float = 1000.0) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class ServerError(BudgetMemError):
    """The BudgetMem server failed, or answered something that this client does not know; or the
    client is closed."""


class ServerUnavailable(ServerError):
    """The BudgetMem server cannot be reached, is starting or is stopping."""


class AssetError(BudgetMemError):
    """An asset is missing, fails its checksum or cannot be fetched."""


class ConfigError(BudgetMemError):
    """A profile or option that is malformed or contradicts another."""


UNREADABLE = (LookupError, ValueError, TypeError, OverflowError, RecursionError)
"""What reading raises where something that somebody sent is not what it should be."""
