"""The sections of the configuration about living with growth: refreshes, exam and gate, retention, labels, alerts."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ml.spec import Rank
from pipeline.config.section import Section
from pipeline.config.values import Cron, File, HostName, MailAddress, WebAddress


class RefreshSettings(Section):
    """The scheduled refresh as NatureWatch grows."""

    cron: Cron = "0 3 * * 1"
    """When the weekly refresh runs, in UTC; the schedule is off until it is switched on in the UI."""
    growth: float = Field(default=0.01, gt=0)
    """The growth sensor starts a refresh when GBIF has this share more records of the scope than the last download."""
    network: Literal["baseline", "baseline_matched", "multi_view", "knowledge_transfer"] | None = None
    """The network that a refresh trains; empty: that of the champion, and knowledge_transfer where there is none."""
    full_growth: float = Field(default=0.5, gt=0)
    """A refresh goes on from the champion until the training photographs have grown by this share since the last
    training from nothing; then the network is trained from nothing again."""
    most_lost_species: float = Field(default=0.02, ge=0, le=1)
    """Share of the last dataset's species that may be missing from the next; with more, the run stops with the list
    until a person lets it pass."""
    most_lost_photos: float = Field(default=0.05, ge=0, le=1)
    """Share of the last dataset's photographs that may be missing from the next, likewise."""


class MetricThreshold(Section):
    """What a metric must reach; the names are those of MLflow's `MetricThreshold`. Shares are between 0 and 1."""

    threshold: float | None = None
    """The least value, whatever the champion reaches; empty for none."""
    min_absolute_change: float | None = None
    """The least change against the champion; negative: so much may be lost. Empty for none."""


class GateSettings(Section):
    """What a challenger must reach on the exam before users get it."""

    top1: MetricThreshold = MetricThreshold(min_absolute_change=-0.01)
    """Share of exam photographs with the right species."""
    macro_top1: MetricThreshold = MetricThreshold(min_absolute_change=-0.02)
    """Mean of that share over species."""
    depth: MetricThreshold = MetricThreshold(min_absolute_change=-0.15)
    """Mean depth of the answers at the target accuracy; root 0, species 7."""
    promise: MetricThreshold = MetricThreshold(min_absolute_change=-0.02)
    """Share of answers at the target accuracy that are right."""
    group: MetricThreshold = MetricThreshold(min_absolute_change=-0.05)
    """Share of photographs with the right species within each group."""
    group_rank: Rank = "class"
    """The rank whose taxa are the groups."""
    group_photos: int = Field(default=50, ge=1)
    """Exam photographs that a group, or photographs of known place, need to be judged by themselves."""


class ExamSettings(Section):
    """The frozen set of validation observations on which model versions are judged."""

    observations_per_species: int = Field(default=10, ge=1)
    """Most observations of one species in the exam."""


class AlertSettings(Section):
    """Who is told when a run fails: a chat, people by mail, both, or nobody."""

    webhook: WebAddress | None = None
    """The address of a chat's incoming webhook; it is sent `{"text": ...}`, as Slack, Mattermost, Google Chat, Matrix
    (hookshot) and Teams take it. Whoever knows the address can write there: give it by the environment variable
    NATUREWATCH__ALERTS__WEBHOOK."""
    mail_to: tuple[MailAddress, ...] = ()
    """Whom to write to by mail."""
    mail_from: MailAddress | None = None
    """The sender of the mail; empty: the first of `mail_to`."""
    smtp_host: HostName | None = None
    """The mail server. Its account, if it wants one, is in the environment variables SMTP_USER and SMTP_PASSWORD."""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    """Its port: 587 with STARTTLS, 465 with TLS, 25 without."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted. `none` sends no password."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.mail_to and self.smtp_host is None:
            raise ValueError("mail_to needs smtp_host, the mail server that takes the mail")
        return self

    @property
    def on(self) -> bool:
        """Whether anybody is told."""
        return self.webhook is not None or bool(self.mail_to)


class RetentionSettings(Section):
    """What is kept, and for how long; `naturewatch prune` removes the rest.

    Whatever these say, it keeps the champion, every version under an alias or with the tag `naturewatch.keep`, the
    versions that these were trained on from, and all that any of them needs.
    """

    versions: int = Field(default=5, ge=1)
    """Newest model versions that are kept, whatever became of them."""
    champions: int = Field(default=3, ge=1)
    """Champions before the present one that are kept, the last ones first."""
    champion_days: int = Field(default=400, ge=366)
    """A version that was the champion within so many days is kept; the gate looks back a year."""
    downloads: int = Field(default=2, ge=1)
    """Newest raw answers of GBIF that are kept."""
    training_days: int = Field(default=30, ge=1)
    """Days for which trainings and calibrations are kept that no kept version and not the present dataset needs."""
    feature_days: int = Field(default=30, ge=1)
    """Days for which features of photographs are kept after they were last read."""
    mlflow_days: int = Field(default=400, ge=1)
    """Days for which MLflow runs are kept that belong to no dataset of a kept version and not to the present one."""
    dagster_days: int = Field(default=90, ge=1)
    """Days for which Dagster's runs are kept, with their events and logs; the last that made an asset always stays."""
    log_days: int = Field(default=90, ge=1)
    """Days for which the logs of `naturewatch run` are kept."""


class LabelSettings(Section):
    """The search for photographs that seem to have the wrong name."""

    folds: int = Field(default=5, ge=2, le=20)
    """Parts of the photographs; each is judged by a classifier that learnt from the others."""
    corrections: File | None = None
    """A CSV of names that a person has corrected, as `suspects.csv` is one (docs/operations.md); empty for none."""
