"""All pages are read and written anew when anything in this folder has changed; executed cells still come from the cache.

Sphinx looks at the pages' own texts alone, and copies no script or stylesheet if no page is written.
"""

from pathlib import Path

from posebook.digest import digest_of

FOLDER = Path(__file__).parent


def setup(app):
    """Sphinx's entry point."""
    app.connect("env-get-outdated", _outdated)


def _outdated(app, env, added, changed, removed):
    files = (path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc")
    known, env.posebook_digest = getattr(env, "posebook_digest", None), digest_of(sorted(files), FOLDER)
    return [] if known == env.posebook_digest else sorted(env.found_docs)
