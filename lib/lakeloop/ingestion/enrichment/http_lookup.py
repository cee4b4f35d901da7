"""Look-ups in HTTP services: the distinct keys of a batch are asked for once each, then joined back to its rows."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from lakeloop.core import logs
from lakeloop.core.errors import ConfigError
from lakeloop.core.rates import per_second
from lakeloop.core.run_record import now
from lakeloop.ingestion.enrichment.asking import Answer, Asker
from lakeloop.ingestion.enrichment.cache import AnswerCache
from lakeloop.ingestion.enrichment.http_spec import HttpLookup, as_text
from lakeloop.ingestion.enrichment.outcomes import (
    FELL_BACK,
    MATCHED,
    MISSING,
    STALE,
    asks,
    missing_finding,
    outcome_column,
    require_new,
)
from lakeloop.ingestion.http.answers import Failure
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.transforms import Conformed, strict_cast, uncastable
from lakeloop.lake.tables import Lake
from lakeloop.quality import Finding
from lakeloop.quality.row_rules.columns import value_of

log = logs.get(__name__)
KEYS_PER_COMMIT = 500  # what a kill makes us ask again


@dataclass(frozen=True)
class PreparedHttp:
    """Every key of the batch asked for: the cache in one version, and the moment that says what in it has expired."""

    name: str
    spec: HttpLookup
    entries: DataFrame
    moment: dt.datetime
    notes: tuple[str, ...] = ()

    def attach(self, conformed: Conformed) -> Conformed:
        """Add the columns and the outcome.

        A key with a NULL in it, one that cannot stand in a path and one that the service does not know are `missing`,
        with NULL columns. Without an answer an expired one is taken (`stale`), else the declared fallback
        (`fell_back`), each with a finding that marks the row. A value of another type than declared quarantines it.
        """
        spec = self.spec
        asking = asks(conformed, spec.keys)
        keyed = conformed.frame.withColumn("_key", key_of(spec.keys))
        joined = keyed.join(self.entries, F.col("_key") == F.col("_cached_key"), "left")
        is_fresh, answer = _is_fresh(spec, self.moment), F.col("_answer")
        outcome = (
            F.when(F.col("_key").isNull() | (answer.isNull() & is_fresh), MISSING)
            .when(answer.isNull(), FELL_BACK)
            .when(is_fresh, MATCHED)
            .otherwise(STALE)
        )
        frame = joined.withColumns(
            {outcome_column(self.name): F.when(asking, outcome), "_fields": F.from_json(answer, "map<string,string>")}
        )
        findings = [
            *missing_finding(self.name, spec.missing, spec.keys, f"a key that {spec.rest} knows"),
            self._marking(STALE, "an expired answer was taken"),
            self._marking(FELL_BACK, "the fallback was taken"),
        ]
        for column, field in spec.columns.items():
            fallback = F.lit(as_text(spec.fallback[column]) if column in spec.fallback else None).cast("string")
            fell_back = F.col(outcome_column(self.name)) == FELL_BACK
            frame = frame.withColumn(column, F.when(fell_back, fallback).otherwise(F.col("_fields")[field.path]))
            if field.type != "string":
                converted, lost = strict_cast(column, field.type, StringType()), f"_uncast_{column}"
                frame = frame.withColumn(lost, F.when(converted.isNull(), value_of(column)))
                frame = frame.withColumn(column, converted)
                findings.append(uncastable(f"{column}_is_castable", column, lost, field.type))
        return Conformed(frame.drop("_key", "_fields", *self.entries.columns), (*conformed.findings, *findings))

    def _marking(self, outcome: str, taken: str) -> Finding:
        text = F.lit(f"{self.spec.rest} gave no answer for {', '.join(self.spec.keys)}; {taken}")
        violation = F.when(F.col(outcome_column(self.name)) == outcome, text)
        return Finding(f"{self.name}_{outcome}", violation, "warn", self.spec.keys)


def key_of(columns: Sequence[str]) -> Column:
    """The values as one JSON list of texts; NULL where one of them is."""
    texts = [value_of(column).cast("string") for column in columns]
    present = F.array_size(F.array_compact(F.array(*texts))) == len(texts)
    return F.when(present, F.to_json(F.array(*texts)))


def prepare_http(name: str, spec: HttpLookup, ahead: Conformed, service: Service, lake: Lake) -> PreparedHttp:
    """Ask for the keys of these rows that the cache does not hold, and keep the answers.

    One Spark job finds the keys; they and their answers are in the driver, the rows are not. Raises ConfigError for
    more than `max_new_keys`, TableError for a key column that is missing and for a new column that is there already.
    """
    ahead.require(spec.keys, f"http {name}")
    require_new(ahead, list(spec.columns), f"http {name}")
    cache, moment = AnswerCache.of(lake, spec), now()
    keys = ahead.frame.where(asks(ahead, spec.keys)).select(key_of(spec.keys).alias("_key")).where("_key IS NOT NULL")
    known = keys.distinct().join(cache.read(), F.col("_key") == F.col("_cached_key"), "left")
    unknown = known.where(~F.coalesce(_is_fresh(spec, moment), F.lit(False)))
    rows = unknown.select("_key", F.col("_answer").isNotNull()).limit(spec.max_new_keys + 1).collect()
    if len(rows) > spec.max_new_keys:
        raise ConfigError(
            f"http {name}: more than {spec.max_new_keys:,} keys of one batch are not in the cache"
            f"{_duration(spec, service)}; raise max_new_keys, "
            f"or bring the data of {spec.rest} into a table by a pipeline of their own and use a lookup"
        )
    expired = dict(sorted((str(key), bool(has_answer)) for key, has_answer in rows))
    log.info("look-up service", enrichment=name, rest=spec.rest, keys=len(expired))
    failures = _ask(list(expired), spec, service, cache)
    return PreparedHttp(name, spec, cache.read(), moment, _told(name, spec, expired, failures))


def _duration(spec: HttpLookup, service: Service) -> str:
    rate = service.connection.rate_limit
    minutes = spec.max_new_keys / per_second(rate) / 60 if rate else 0.0
    return f", and at {rate} they take {minutes:,.0f} minutes" if rate else ""


def _ask(keys: Sequence[str], spec: HttpLookup, service: Service, cache: AnswerCache) -> dict[str, Failure]:
    failures: dict[str, Failure] = {}
    with Asker(spec, service) as asker, ThreadPoolExecutor(spec.concurrency) as threads:

        def ask(key: str) -> Answer | Failure:
            return asker.ask(dict(zip(spec.keys, json.loads(key), strict=True)))

        for start in range(0, len(keys), KEYS_PER_COMMIT):
            some, asked_at = keys[start : start + KEYS_PER_COMMIT], now()
            found = dict(zip(some, threads.map(ask, some), strict=True))
            cache.keep({key: each for key, each in found.items() if isinstance(each, Answer)}, asked_at)
            failures |= {key: each for key, each in found.items() if isinstance(each, Failure)}
    return failures


def _told(name: str, spec: HttpLookup, expired: Mapping[str, bool], failures: Mapping[str, Failure]) -> tuple[str, ...]:
    """What a person should hear: how many keys have no answer, why, and what was taken instead. No key, no address."""
    if not failures:
        return ()
    stale = sum(expired[key] for key in failures)
    reasons = Counter(failure.reason for failure in failures.values())
    log.warning("service gave no answer", enrichment=name, rest=spec.rest, keys=len(expired), reasons=dict(reasons))
    why = ", ".join(f"{reason}: {count:,}" for reason, count in reasons.most_common())
    instead = f"{stale:,} took an expired answer, {len(failures) - stale:,} fell back"
    return (f"{name}: no answer for {len(failures):,} of {len(expired):,} keys asked for ({why}); {instead}",)


def _is_fresh(spec: HttpLookup, moment: dt.datetime) -> Column:
    """Whether the cached answer may stand; NULL where there is none."""
    oldest_known = F.lit(moment - spec.cache.ttl)
    oldest_unknown = F.lit(moment - (spec.cache.negative_ttl or spec.cache.ttl))
    return F.col("_asked_at") >= F.when(F.col("_answer").isNull(), oldest_unknown).otherwise(oldest_known)
