# Accounts, groups and root.

## who: the account of this session
# short
test "$(id -un)" = "$USER"; getent passwd "$USER" | cut -d: -f6 | grep -x "$HOME" >/dev/null; id -u "$USER" >/dev/null; echo "$(id -u)" | grep -x "$(id -u "$USER")" >/dev/null; echo ok

## new-account: with a home, used, removed
# short
sudo useradd -m -s /bin/bash daybob; sudo -u daybob -H sh -c 'id -un; pwd; cd; pwd; touch f; stat -c %U f' 2>&1 | sed "s,$PWD,HERE,"; sudo userdel -r daybob 2>/dev/null; id daybob 2>&1 || true

## system-account: as packages make it
# short
sudo useradd --system --shell /usr/sbin/nologin --home-dir /nonexistent daysys; getent passwd daysys | cut -d: -f1,6,7; sudo userdel daysys

## group-given: this session has it not yet
# short
getent group daygroup >/dev/null || sudo groupadd daygroup; sudo usermod -aG daygroup "$USER"; id -nG | tr ' ' '\n' | grep -cx daygroup || true; getent group daygroup | cut -d: -f1,4 | sed "s/$USER/me/"

## group-in-effect: the next session has it
# short
id -nG | tr ' ' '\n' | grep -x daygroup; sudo install -d -g daygroup -m 770 /opt/daygroup; touch /opt/daygroup/f; stat -c %U /opt/daygroup/f | sed "s/$USER/me/"; sudo rm -r /opt/daygroup

## password: of another account
# short
sudo useradd daypw; echo daypw:secret | sudo chpasswd; sudo grep -c '^daypw:\$' /etc/shadow; sudo userdel daypw

## root-shell: sudo -i and sudo su
# short
sudo -i sh -c 'id -u; echo $HOME; pwd'; sudo su -c 'id -un'; sudo su - -c pwd

## sudo-environment: what root gets
# short
FOO=bar sudo env | grep -c '^FOO=' || true; sudo env | grep '^SUDO_USER=' | sed "s/$USER/me/"; sudo FOO=bar env | grep ^FOO=

## sudo-as: another account
# short
sudo -u nobody id -un; sudo -u www-data sh -c 'touch f 2>&1' | sed 's,.*: ,,'

## sudoers: are valid
# short
sudo visudo -c >/dev/null && echo valid

## shell: of the account, by root
# short
before=$(getent passwd "$USER" | cut -d: -f7); sudo usermod -s /bin/dash "$USER"; getent passwd "$USER" | cut -d: -f7; sudo usermod -s "$before" "$USER"

## login-shell: reads the profile
# short
bash -lc 'echo ${PATH:+path}; umask'

## interactive-shell: reads the system's settings, and no error
# short
bash -ic 'alias day=true; day; echo $?' 2>&1 | grep -v 'no job control\|cannot set terminal' | tr -d '\033' | tail -1

## crontab: is kept
# packages: cron
echo '7 7 * * 7 true' | crontab -; crontab -l; crontab -r; { crontab -l 2>&1 || true; } | sed "s/$USER/me/"
