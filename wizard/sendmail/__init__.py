"""What the program knows of Debian's Sendmail: its files, its m4, its daemons, its passwords."""
