"""Group `release`, the exam: challenger and champions answer the same photographs, and the gate decides."""

import datetime as dt

import dagster as dg

from ml.spec import ExamResult
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.logged import EXAM, page, pictures, run_link
from pipeline.defs.metadata import Metadata, records_table, result
from pipeline.defs.mlflow_runs import mlflow_answers
from pipeline.defs.scope_resource import Scope
from pipeline.defs.together import TRAININGS
from pipeline.exam.child import exam_spec
from pipeline.exam.decision import Decision
from pipeline.exam.exam_page import build_exam_page
from pipeline.exam.judgement import already_champion, decide
from pipeline.exam.observations import exam_version
from pipeline.files import digest_of
from pipeline.launching.gpus import reserved
from pipeline.launching.launch import run_child
from pipeline.launching.specs import result_of
from pipeline.registry.contenders import Contenders, contenders, record_decision


@dg.asset(
    kinds={"pytorch", "mlflow"},
    deps=["photos", "taxonomy", "places", "exam", "manifest", "candidate"],
    pool=TRAININGS,
    code_version="2",
)
def exam_answers(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """What challenger, champion and the best champion of the last year answer in the exam, and what follows from it.

    A version is asked about each photograph once. The check `gate` lets the challenger pass or keeps the champion.
    """
    settings = scope.settings()
    mlflow_answers(settings)
    found = contenders(settings, now=dt.datetime.now(dt.UTC))
    version = exam_version(settings.paths.table("exam"))
    if found.champion is not None and found.champion.number == found.challenger.number:
        decision = already_champion(
            found.challenger.number, exam=version, target=settings.specificity.target, versions=found.identities
        )
        asked: list[dict[str, object]] = []
    else:
        answered = _ask(settings, found, context=context, pipes=pipes)
        decision = decide(settings, answered, exam=version, versions=found.identities)
        asked = _asked(answered)
    decision.write(settings.paths)
    shown = _report(settings, decision, found)
    context.log.info("%s: %s", "passed" if decision.passed else "refused", "; ".join(decision.reasons))
    return result(
        context,
        settings,
        data_version=digest_of(decision.model_dump(mode="json")),
        metadata={
            "decision": "passed" if decision.passed else "refused",
            "why": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in (*decision.reasons, *decision.notes))),
            "exam": version,
            "asked": records_table(asked, none="no version"),
            **shown,
            "path": dg.MetadataValue.path(str(settings.paths.exam_decision)),
        },
    )


def _ask(
    settings: Settings, found: Contenders, *, context: dg.AssetExecutionContext, pipes: dg.PipesSubprocessClient
) -> ExamResult:
    """Let the versions answer what they have not answered yet, on a GPU where there is one."""
    spec = exam_spec(settings, challenger=found.challenger, champion=found.champion, rivals=found.rivals)
    with reserved(processes=1, what=f"{settings.name}: exam", say=context.log.info) as device:
        file = run_child(
            context=context, pipes=pipes, stage="exam", spec=spec.write(spec.output / "spec.json"), output=spec.output,
            variables=device,
        )  # fmt: skip
    return result_of(ExamResult, file)


def _asked(answered: ExamResult) -> list[dict[str, object]]:
    """How many photographs each version was asked about."""
    roles = {"challenger": answered.challenger, "champion": answered.champion, "best of the year": answered.best}
    return [
        {"version": each.number, "as": role, "asked now": each.asked, "could not be asked": each.problem or "no"}
        for role, each in roles.items()
        if each is not None
    ]


def _report(settings: Settings, decision: Decision, found: Contenders) -> dict[str, Metadata]:
    """Write the page, log it with the challenger's run, and link to both; a champion keeps the page of its own exam."""
    run_id = found.challenger_run
    if decision.champion == decision.challenger:
        return {} if run_id is None else {"MLflow run": run_link(settings, run_id)}
    dataset = DatasetManifest.read(settings.paths)
    report = build_exam_page(
        settings, decision, dataset_version=dataset.dataset_version, written=dt.datetime.now(dt.UTC).date()
    )
    record_decision(
        settings, decision, run_id=run_id, files={"exam/decision.json": settings.paths.exam_decision, EXAM: report.html}
    )
    if run_id is None:
        return {"page": dg.MetadataValue.path(str(report.html))}
    return {
        "page": page(settings, run_id, EXAM),
        "MLflow run": run_link(settings, run_id),
        **pictures(settings, run_id, report.pictures),
    }
