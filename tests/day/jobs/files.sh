# Files: modes, owners, attributes, archives. See ../day_test.go for the format.

## mode: a private file
# short
touch f; chmod 600 f; stat -c '%a %U' f | sed "s/$USER/me/"

## umask: a file of a closed umask
# short
umask 077; touch f; mkdir d; stat -c %a f d

## symbolic-link: a link to a link
# short
echo x >a; ln -s a b; ln -s b c; readlink c; cat c

## hard-link: two names of one file
# short
echo x >a; ln a b; stat -c %h a b

## fifo: a pipe with a name
# short
mkfifo p; (echo through >p) & cat p

## root-owned: a file of root's in /opt
# short
sudo install -o root -g root -m 640 /dev/null /opt/day; stat -c '%U:%G:%a' /opt/day; cat /opt/day 2>&1 || true; sudo rm /opt/day

## other-owner: a file that belongs to a system account
# short
sudo touch /var/tmp/day; sudo chown www-data:adm /var/tmp/day; stat -c '%U:%G' /var/tmp/day; sudo rm /var/tmp/day

## setuid: the mode survives, and acts
# short
sudo install -m 4755 /usr/bin/id /usr/local/bin/dayid; stat -c %a /usr/local/bin/dayid; /usr/local/bin/dayid -u; sudo rm /usr/local/bin/dayid

## sticky: nobody removes another's file from /tmp
# short
stat -c %a /tmp; sudo install -m 600 /dev/null /tmp/day.root; rm -f /tmp/day.root 2>&1 || true; sudo rm /tmp/day.root

## capabilities: of a file
# short
sudo cp /bin/cat /usr/local/bin/daycat; sudo setcap cap_net_bind_service=ep /usr/local/bin/daycat; getcap /usr/local/bin/daycat; sudo rm /usr/local/bin/daycat

## sparse: a file with a hole
# short
truncate -s 50M f; stat -c %s f; test "$(du -k f | cut -f1)" -lt 100 && echo sparse

## archive: tar keeps owners by number
# short
sudo tar -C /etc -cf - passwd shadow | tar -tvf - | awk '{print $1,$2}'

## checksum: 20 MB there and back
# short
dd if=/dev/zero of=f bs=1M count=20 status=none; cp f g; sha256sum <g

## find: names with spaces, newlines and quotes
# short
touch 'a b' "c'd" "$(printf 'e\nf')"; find . -type f -print0 | sort -z | xargs -0 -n1 printf '[%s]\n'

## flock: one at a time
# short
(flock -n 9 && echo first; flock -n lock echo second || echo busy) 9>lock

## access-list: setfacl for another account
# packages: acl
touch f; setfacl -m u:www-data:r f; getfacl -c f

## attributes: of the user's own
# packages: attr
touch f; setfattr -n user.day -v yes f; getfattr --only-values -n user.day f; echo

## inotify: a program sees a new file
# packages: inotify-tools
(sleep 1; touch here/f) & mkdir here; timeout 20 inotifywait -qq -e create here && echo seen

## rsync: a tree, twice
# packages: rsync
mkdir -p a/b; echo 1 >a/b/f; rsync -a a/ c/; rsync -ai a/ c/; cat c/b/f

## zip: there and back
# packages: zip unzip
echo x >f; zip -q f.zip f; rm f; unzip -q f.zip; cat f

## squash: a compressed tree
# packages: zstd xz-utils
mkdir d; seq 1000 >d/n; tar --zstd -cf d.tzst d; tar -Jcf d.txz d; tar -xOf d.tzst d/n | tail -1; tar -xOf d.txz d/n | wc -l

## tmpfs: root mounts one
# short
mkdir d; sudo mount -t tmpfs -o size=1m day d && findmnt -no FSTYPE d && sudo umount d

## bind: root mounts a directory on another
# short
mkdir a b; touch a/f; sudo mount --bind a b && ls b && sudo umount b; ls b
