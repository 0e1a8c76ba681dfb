"""`toolkit reports gallery`."""

from __future__ import annotations

from toolkit.cli.output import AsJson, print_document, print_text


def gallery(*, as_json: AsJson = False) -> None:
    """Write reports/index.html, one page that leads to every report.

    What was refused or failed is on it too, with the reason. It needs no server and no network.
    """
    from toolkit.archive import write_gallery
    from toolkit.workspace import open_workspace

    written = write_gallery(open_workspace())
    if as_json:
        print_document(
            {
                "page": str(written.page),
                "reports": written.reports,
                "refused": written.refused,
                "failed": written.failed,
            }
        )
    else:
        print_text(str(written.page))
