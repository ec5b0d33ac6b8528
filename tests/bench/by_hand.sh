#!/bin/sh
# The howto by hand, without looks, diffs, checks and history: what `msa-wizard apply` is measured against.
set -e
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
apt-get install -y -q sendmail sasl2-bin libsasl2-modules
# shellcheck disable=SC2016
grep -q '\$START' /etc/init.d/saslauthd && echo START=yes >>/etc/default/saslauthd
systemctl enable saslauthd
systemctl restart saslauthd
sed -i 's/^mech_list:.*/mech_list: LOGIN PLAIN/' /etc/mail/sasl/Sendmail.conf.2
sed -i -e '/^MAILER_DEFINITIONS/i include(`/etc/mail/sasl/sasl.m4'"'"')dnl\ninclude(`/etc/mail/tls/starttls.m4'"'"')dnl\ndefine(`confAUTH_OPTIONS'"'"',`p y'"'"')dnl' \
    -e '/^DAEMON_OPTIONS.*submission/s/, Addr=127.0.0.1//' -e '/^DAEMON_OPTIONS.*smtp/s/Addr=127.0.0.1/M=A/' /etc/mail/sendmail.mc
printf '\n\nn\n' | sendmailconfig
systemctl is-enabled sendmail || systemctl enable sendmail
systemctl restart sendmail
until bash -c 'exec 3<>/dev/tcp/127.0.0.1/587' 2>/dev/null; do sleep 0.05; done
