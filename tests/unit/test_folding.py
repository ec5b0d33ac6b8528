"""Generated files are a line each; of all others nothing is lost."""

from __future__ import annotations

from screens.widgets.contents import folded

AUTHORED = """/etc/mail/sendmail.mc: mode 0644 -> 0640
diff --git a/etc/mail/sendmail.mc b/etc/mail/sendmail.mc
index 1..2 100644
--- a/etc/mail/sendmail.mc
+++ b/etc/mail/sendmail.mc
@@ -1 +1 @@
-a
+b"""
GENERATED = """/etc/mail/sendmail.cf: mode 0644 -> 0640
diff --git a/etc/mail/sendmail.cf b/etc/mail/sendmail.cf
index 1..2 100644
--- a/etc/mail/sendmail.cf
+++ b/etc/mail/sendmail.cf
@@ -1,2 +1,3 @@
 x
-a
+b
+++c
\\ No newline at end of file"""
BINARY = """diff --git a/etc/mail/access.db b/etc/mail/access.db
index 1..2 100644
Binary files a/etc/mail/access.db and b/etc/mail/access.db differ"""


def test_generated_files_are_counted_and_the_rest_stays() -> None:
    assert folded(AUTHORED) == AUTHORED
    assert folded("\n".join([GENERATED, AUTHORED, BINARY])) == "\n".join(
        [
            "/etc/mail/sendmail.cf: mode 0644 -> 0640",
            "/etc/mail/sendmail.cf: 2 lines added, 1 removed; generated, f shows all of it",
            AUTHORED,
            "/etc/mail/access.db: changed; generated, f shows all of it",
        ]
    )
    assert folded("") == ""
