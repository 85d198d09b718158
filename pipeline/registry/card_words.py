"""The sentences of a model card, which Markdown and HTML share: use and misuse, answers, data, licences, citations."""

from collections.abc import Mapping
from typing import Final

from ml.spec import RANKS, WEIGHT_PACKAGES, Rule
from pipeline.comparison.place_tables import gain_sentence, group_sentence, local_sentence
from pipeline.comparison.wording import between, counted, day, duration, listed, percent, plain_percent
from pipeline.dataset.attribution import licence_statement
from pipeline.pages.web_addresses import doi_address
from pipeline.registry.card_facts import CardFacts

PAPER: Final = (
    "Mo, J., Frank, E., Vetrova, V. (2017): Large-scale automatic species identification. AI 2017: Advances in "
    "Artificial Intelligence, LNCS 10400, 301-312. https://doi.org/10.1007/978-3-319-63004-5_24"
)
"""The method's."""

RULES: Final[Mapping[Rule, str]] = {
    "threshold": "the deepest taxon with a probability of at least {value:.4f}",
    "reward": "the taxon with the greatest expected reward (Deng et al. 2012; t = {value:.4f})",
    "distance": "the taxon with the least expected distance in the tree (t = {value:.4f})",
}
"""What is answered, by the calibrated number."""

USES: Final = (
    "To suggest a name for a photograph of an organism in the wild, at the rank that the photograph allows.",
    "To sort photographs before experts look at them, and to find those that need an expert.",
    "To watch for taxa that must not be missed, with the watch-list of the calibration; an alarm is a reason to look.",
)
MISUSES: Final = (
    "To decide whether something may be eaten or touched: it takes poisonous look-alikes for each other.",
    "As the only evidence of a new record, a protected species or a pest: have an expert confirm it.",
    "For photographs unlike those that it was judged on: other regions, microscopes, camera traps.",
    "To count organisms: it says what is on a photograph, not how many, and not what is common.",
)
PLACE_MISUSES: Final = (
    "As a sign of where a species lives: it knows where people looked, and nothing of where nobody did.",
    "To find strays: what was never recorded at a place is less likely there. Watch-list alarms read the photo alone.",
    "As new evidence of a range: an answer that leans on the records of a region must not be counted as one of them.",
)
PLACE_DATA: Final = (
    "The model's file place_prior.safetensors holds places and days of training records, rounded to some 300 m. They "
    "are public on GBIF; of obscured ones it has the public, obscured place only."
)
LIMITS: Final = (
    "The numbers hold for photographs like those of the dataset: what people chose to photograph and could identify.",
    "A photograph of a species that it does not know gets an answer, too: mostly of a higher rank, without a promise.",
    "Rare species are recognised less often than common ones; see the accuracy by number of training photographs.",
)
ATTRIBUTION: Final = "Every photograph's licence, holder and creator are in the attribution table of this version."


def limits(facts: CardFacts) -> list[str]:
    """What the numbers do not say; first, where the dataset is the demo's, that the model is one for trying out."""
    if facts.settings.source.mode != "replica":
        return list(LIMITS)
    return ["It learnt from a sample, to try NatureWatch with: it is of no use beyond that.", *LIMITS]


def summary(facts: CardFacts) -> str:
    """What the model is, in one sentence of plain text: lists show the beginning of a card."""
    metrics, judged = facts.training.metrics, facts.manifest.counts["validation"]
    return (
        f"Names {counted(facts.known, 'species', 'species')} from a photograph: {percent(metrics['top1'])} right on "
        f"{judged:,} validation photographs; where the species would be a guess it answers with a higher taxon."
    )


def answer_rule(facts: CardFacts) -> str:
    """What is answered, and what that was worth on the photographs that did not choose the threshold."""
    found = facts.calibration
    rule = RULES[found.rule].format(value=found.threshold)
    spread = between(found.evaluation_accuracy_low, found.evaluation_accuracy_high)
    text = (
        f"The answer is {rule}. The number was chosen on {found.calibration_photos:,} validation photographs so that "
        f"{plain_percent(found.target)} of the answers are right. On the other {found.evaluation_photos:,}, "
        f"{percent(found.evaluation_accuracy)} were (95 % interval {spread}), at a mean depth of "
        f"{found.evaluation_depth:.2f}, where kingdom is 1 and species 7."
    )
    if found.abstention_rate == 0:
        return f"{text} Every photograph got an answer."
    return f"{text} No answer: {percent(found.abstention_rate)} of the photographs."


def promise(facts: CardFacts) -> str:
    """Whether the target is a promise or an estimate."""
    delta = facts.calibration.delta
    if delta is None:
        return "The target is an estimate, no guarantee: specificity.delta would give one."
    return (
        f"The target is guaranteed: over all calibrations, it is missed with a probability of at most "
        f"{plain_percent(delta)}, for photographs drawn as these were."
    )


def novelty(facts: CardFacts) -> str:
    """How a photograph of a species that the network does not know is told."""
    found = facts.calibration
    if found.novelty is None:
        return "Novelty is not scored: this training left no embeddings."
    how = (
        "Each answer also says how unlike the known species the photograph looks: the distance of its embedding from "
        "the nearest species' mean, as the share of photographs of known species that look at least as unlike."
    )
    if found.novelty_auroc is None:
        return f"{how} There is only one genus, so how well that finds unknown ones was not measured."
    return (
        f"{how} Photographs of genera that were left out look less like the known species than those of known genera "
        f"in {percent(found.novelty_auroc)} of all pairs (AUROC {found.novelty_auroc:.3f}; 0.5 is chance)."
    )


def together(facts: CardFacts) -> str:
    """How several photographs of one organism are answered."""
    if facts.calibration.joint is None:
        return (
            "Several photographs of one organism are answered by the mean of their probabilities, and nothing is "
            "promised: the validation side has too few of one observation, or of one species, to calibrate that."
        )
    return (
        "Several photographs of one organism are answered as one, by thresholds of their own, which were learnt from "
        "sets of photographs."
    )


def place_gain(facts: CardFacts) -> str:
    """What a place, and a date, add."""
    return (
        "Told where a photograph was taken, and when, it weighs its species by the training records around that place "
        f"at that time of the year. {gain_sentence(facts.places)}"
    )


def place_reach(facts: CardFacts) -> str:
    """How local the gain is, and in which groups it is great or small."""
    return f"{local_sentence(facts.places)} {group_sentence(facts.places)}".strip()


def data(facts: CardFacts) -> str:
    """What it was trained and judged on."""
    counts, split, manifest = facts.manifest.counts, facts.settings.split, facts.manifest
    return (
        f"Scope {facts.settings.name}, dataset version {manifest.dataset_version}: {counts['train']:,} training and "
        f"{counted(counts['validation'], 'validation photograph')}, divided by {split.unit}. A species needs "
        f"{counted(split.min_images, 'usable photograph')} to be known to the model. Source: {manifest.source}."
    )


def photograph_licences(facts: CardFacts) -> str:
    """Under which licences the photographs stand, what these mean, and where their holders are named."""
    return f"{licence_statement(facts.licences)} {ATTRIBUTION}"


def weight_licence(facts: CardFacts) -> str:
    """What is known of the licence of the weights. No advice on law: where they come from, and what is open."""
    training = facts.settings.training
    package = WEIGHT_PACKAGES.get(training.backbone)
    first = facts.production.first_weights or training.weights
    origin = {
        "hub": f"The weights began as the ImageNet weights of {training.backbone} in timm's hub; its licence applies. ",
        "package": (
            f"The weights began as the ImageNet weights of the Python package {package}, whose metadata name no "
            "licence. "
        ),
        "none": "The weights began at random. ",
    }.get(first, f"The weights began as the weights of {first}, whose licence applies. ")
    return (
        f"{origin}NatureWatch claims no rights in them and grants none. Whether weights are a derived work of the "
        "photographs that they learnt from is not settled."
    )


def citations(facts: CardFacts) -> list[tuple[str, str]]:
    """How to cite the model, the paper and the data: what, and the text."""
    manifest, settings = facts.manifest, facts.settings
    commit = "" if facts.commit == "unknown" else f" Code {facts.commit}."
    model = (
        f"NatureWatch ({facts.day.year}): model {settings.registry.model_name}, {facts.title}, for the scope "
        f"{settings.name}. Dataset version {manifest.dataset_version}.{commit}"
    )
    if manifest.citation and not manifest.origin and doi_address(manifest.doi):
        source = manifest.citation
    elif manifest.doi and not doi_address(manifest.doi):
        source = (
            f"A sample, not citable: {manifest.source}. The DOI {manifest.doi} was made up and resolves to nothing."
        )
    else:
        source = f"Not citable: {manifest.source}."
    return [("the model, with its version number", model), ("the method", PAPER), ("the data", source)]


def began(facts: CardFacts) -> str:
    """Where the training began: from nothing, or from an earlier version."""
    production = facts.production
    if production.ancestor is None:
        return "trained from nothing"
    return (
        f"went on from version {production.ancestor}; the last training from nothing had "
        f"{counted(production.full_photos, 'training photograph')}"
    )


def training_facts(facts: CardFacts) -> list[tuple[str, str]]:
    """How it was trained, as pairs of name and value."""
    training, result = facts.settings.training, facts.training
    took = "not recorded" if result.seconds is None else duration(result.seconds)
    if result.seconds is not None and facts.network == "knowledge_transfer":
        took += f", after the stage that learns {listed(list(training.transfer_ranks))}"
    seeds = listed([str(seed) for seed in training.seeds])
    return [
        ("network", facts.title),
        ("backbone", f"{training.backbone}, {training.image_size} pixels"),
        ("began", began(facts)),
        ("first weights", facts.production.first_weights or training.weights),
        ("recipe", str(training.recipe)),
        ("length", f"{counted(facts.epochs, 'epoch')}, {counted(facts.steps, 'step')}"),
        ("hardware", result.hardware or "not recorded"),
        ("time", took),
        ("seed", str(training.seed) if training.repeats == 1 else f"{training.seed}; compared were {seeds}"),
        ("code", facts.commit),
        ("date of this card", day(facts.day)),
    ]


def known_species(facts: CardFacts) -> str:
    """How many species it knows, and of how many nothing was measured."""
    told = f"It knows {counted(facts.known, 'species', 'species')} and can name no others."
    if facts.unjudged == 0:
        return told
    have = "has" if facts.unjudged == 1 else "have"
    return f"{told} {facts.unjudged:,} of them {have} no validation photograph, so nothing is known of their accuracy."


def confused(facts: CardFacts) -> str:
    """How much of the mistakes stays within the genus."""
    within = facts.training.metrics.get("errors_within_genus")
    if not facts.confusions:
        return "No validation photograph was taken for another species."
    if within is None:
        return "Numbers are photographs of the validation side."
    return f"Of all mistakes, {percent(within)} stay within the genus. Numbers are photographs of the validation side."


def accuracy(facts: CardFacts) -> str:
    """How often the most probable species is right, in three numbers that are explained."""
    metrics = facts.training.metrics
    return (
        f"Of the validation photographs, which it did not learn from, the most probable species is right for "
        f"{percent(metrics['top1'])} (top-1); the right one is among the five most probable for "
        f"{percent(metrics['top5'])} (top-5). With every species counted alike, rare or common, top-1 is "
        f"{percent(metrics['macro_top1'])}."
    )


def by_rank(facts: CardFacts) -> list[tuple[str, str]]:
    """Accuracy at each rank, from the kingdom down."""
    return [(rank, percent(facts.training.metrics[f"accuracy_{rank}"])) for rank in RANKS]
