"""Answers in the formats of the field: Darwin Core, Camtrap DP, MegaDetector's JSON. Loads no network."""
