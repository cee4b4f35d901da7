"""Every error a user can meet: one root, one sentence each, with the remedy inside.

A message says what was found, where, what is allowed and what to do. The command line prints it without a stack trace.
"""


class LakeloopError(Exception):
    """Root of all errors that are somebody's to mend rather than a defect in Lakeloop."""


class ConfigError(LakeloopError, ValueError):
    """A declaration under `conf/` is wrong; the message names file, line and the nearest valid key."""


class SecretMissingError(LakeloopError, LookupError):
    """A `${secret:…}` or `${env:…}` reference has no value in this environment."""


class JavaMissingError(LakeloopError, OSError):
    """Spark needs a Java 17 and this machine shows none."""


class SourceError(LakeloopError, OSError):
    """A source cannot be reached, refuses the credentials, or stopped answering midway."""


class FormatError(LakeloopError, ValueError):
    """A file or response as a whole is not what its declaration says; rows that could be read have landed."""


class SchemaChangedError(LakeloopError, ValueError):
    """A file has other columns than the schema of its source, and that is declared to stop the run."""


class StorageError(LakeloopError, OSError):
    """The folder or object store of the lake cannot be reached, or refuses."""


class DiskFullError(StorageError):
    """A disk has no space left; what had been committed stands, and the next run resumes."""


class TableError(LakeloopError, LookupError):
    """A Delta table is missing, or has no column of that name."""


class DamageError(LakeloopError, RuntimeError):
    """A file of the lake is missing, torn or older than another says; the message names it and `lakeloop repair`."""


class QueryError(LakeloopError, ValueError):
    """A SELECT that cannot be answered, or a statement that is none."""


class AccountingError(LakeloopError, ArithmeticError):
    """`read = good + quarantined + dropped` does not hold for a batch, so nothing was published."""


class ConcurrentRunError(LakeloopError, RuntimeError):
    """Two runs of one pipeline at the same time; the one that came second gives up before it reads."""


class StreamError(LakeloopError, ValueError):
    """A pause, resumption or reset that would lose rows or bring them twice, or that changes nothing."""


class RuleFailedError(LakeloopError, ValueError):
    """A rule of severity `fail` was violated, so nothing was published."""


class EngineError(LakeloopError, RuntimeError):
    """Spark refused a batch or failed on it: an expression that does not fit the columns, a name Delta cannot store."""


class TrainingError(LakeloopError, ValueError):
    """A model cannot be trained on this table as declared."""


class ModelError(LakeloopError, LookupError):
    """A model, version or alias is not in the registry."""


class PromotionRefusedError(LakeloopError, ValueError):
    """A version did not pass the gates; who answers is as before."""


class DeliveryError(LakeloopError, OSError):
    """An alert did not reach its channel, or an event its catalog; trying again may help."""


class DeliveryRefusedError(DeliveryError):
    """A channel refuses an alert, and would do so again."""


class ScorerError(LakeloopError, ValueError):
    """A pipeline has a stage that has no counterpart outside Spark, or an archive is not one of ours."""


class ScoringError(LakeloopError, ValueError):
    """A row that a model cannot answer for; the message names the column, what was found and what is allowed."""
