"""Pages of which a test of its own runs every command and every program, with servers and files that it makes."""

RUN = {"docs/serving.md", "docs/identify.md", "docs/identify-exports.md", "docs/place-prior.md"}
