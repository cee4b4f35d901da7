"""Files of a table whose log has no commit: what a killed first run leaves, or a log that is gone."""

from pathlib import Path

import pytest

from lakeloop.core.errors import DamageError
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.soundness import require_sound_logs
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Ledger, Plan, RunEntry

RUN = RunContext("run", "test")
SPEC = PipelineSpec.model_validate({
    "pipeline": "t", "description": "T", "source": {"jdbc": "crm", "table": "t"},
    "sink": {"table": "silver.t", "mode": "merge", "keys": ["id"]},
})  # fmt: skip


@pytest.mark.parametrize("table", ["bronze/t", "silver/t"])
def test_files_without_a_commit(tmp_path: Path, table: str) -> None:
    root, ledger = str(tmp_path), Ledger(str(tmp_path))
    (tmp_path / table / "_delta_log").mkdir(parents=True)
    require_sound_logs(root, SPEC)
    (tmp_path / table / "part-0.parquet").touch()
    with pytest.raises(DamageError, match="its log has no commit"):  # nobody has planned what they came from
        require_sound_logs(root, SPEC)
    batch = ledger.plan("t", Plan({}, "3 rows"), RUN, ledger.history("t"))
    require_sound_logs(root, SPEC)
    ledger.record(RUN, RunEntry("t", "silver.t", "failed", now(), "killed", batch.batch_id))
    require_sound_logs(root, SPEC)
    ledger.record(RUN, RunEntry("t", "silver.t", "succeeded", now(), "", batch.batch_id))
    with pytest.raises(DamageError, match="its log has no commit"):
        require_sound_logs(root, SPEC)
