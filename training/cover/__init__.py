"""Cover assessment: how clear a picture is and where its subject lies. See ``docs/cover.md``."""
