"""Another admin at work on the machine, and whether each piece of that work is still there."""

from __future__ import annotations

from tests.system.machine import Machine

WORK = r"""
id alice >/dev/null 2>&1 || useradd -m alice
useradd -m bob; echo bob:Bobs-1 | chpasswd; echo alice:New-2 | chpasswd
groupadd devs; gpasswd -a alice devs; groupadd -r ours-not; useradd -r -M svc
echo '# my own line' >> /etc/hosts
echo x=1 > /etc/sysctl.d/99-mine.conf
mkdir -p /etc/mine/deep; echo y > /etc/mine/deep/file; chmod 0750 /etc/mine/deep
mkdir -p /etc/cron.d; echo '17 3 * * * root true # mine' > /etc/cron.d/mine
echo '# mine' >> /etc/profile
ln -sfn /srv/mine /etc/mine/link
chmod 0711 /etc/skel
getent shadow alice > /root/alice.shadow
true
"""
LOOK = r"""
say() { if eval "$2" >/dev/null 2>&1; then echo "kept $1"; else echo "LOST $1"; fi; }
say 'user bob' 'getent passwd bob && getent shadow bob && getent group bob && grep -q ^bob: /etc/subuid && grep -q ^bob: /etc/gshadow'
say 'a system user' 'getent passwd svc && getent shadow svc'
say 'a system group' 'getent group ours-not'
say 'alice in group devs' 'id -nG alice | grep -qw devs'
say 'the new password of alice' '[ "$(getent shadow alice)" = "$(cat /root/alice.shadow)" ]'
say 'a line in hosts' "grep -q '^# my own line' /etc/hosts"
say 'a new file in /etc' 'grep -q x=1 /etc/sysctl.d/99-mine.conf'
say 'a new folder' 'grep -q y /etc/mine/deep/file && [ "$(stat -c %a /etc/mine/deep)" = 750 ] && [ "$(readlink /etc/mine/link)" = /srv/mine ]'
say 'a cron job' 'grep -q mine /etc/cron.d/mine'
say 'a line in profile' "grep -q '^# mine' /etc/profile"
say 'a mode' '[ "$(stat -c %a /etc/skel)" = 711 ]'
for file in $(cat /root/mail-files 2>/dev/null); do say "a line in $file" "grep -q '^# mine in' $file"; done
"""
MAIL_WORK = r"""
for path in /etc/mail/access /etc/aliases /etc/mail/relay-domains /etc/mail/local-host-names; do
    if [ -d "${path%/*}" ]; then echo "# mine in $path" >> $path; echo $path >> /root/mail-files; fi
done; true
"""


def work(machine: Machine, *, mail: bool = True) -> None:
    """Users, groups, passwords, lines, files, folders, links, modes; with `mail` also lines in sendmail's files."""
    machine.run(WORK + (MAIL_WORK if mail else ""))


def lost(machine: Machine) -> list[str]:
    """What of it is there no more."""
    said = machine.run(LOOK, check=False).stdout.splitlines()
    assert len(said) >= 11, said
    return [line for line in said if not line.startswith("kept ")]
