# Git and its like.

## git: a repository, a branch, a merge
# packages: git
git init -q -b main r; cd r; git config user.name me; git config user.email me@example.org; echo 1 >f; git add f; git commit -qm one; git switch -qc b; echo 2 >g; git add g; git commit -qm two; git switch -q main; git merge -q b; git log --format=%s; git status --short

## git-hook: runs with the repository's variables
# packages: git
git init -q r; cd r; git config user.name me; git config user.email me@example.org; printf '#!/bin/sh\necho hook; git rev-parse --is-inside-work-tree\n' >.git/hooks/pre-commit; chmod 755 .git/hooks/pre-commit; git commit -q --allow-empty -m x 2>&1

## git-submodule: over a file
# packages: git
git init -q -b main a; git -C a -c user.name=me -c user.email=m@e commit -q --allow-empty -m x; git init -q b; cd b; git -c protocol.file.allow=always submodule --quiet add ../a a; cat .gitmodules | tr -d '\t'

## git-daemon: clone over the network
# packages: git
git init -q -b main a; git -C a -c user.name=me -c user.email=m@e commit -q --allow-empty -m far; touch a/.git/git-daemon-export-ok; git daemon --reuseaddr --listen=127.0.0.1 --port=18476 --base-path="$PWD" "$PWD" >/dev/null 2>&1 & sleep 1; git clone -q git://127.0.0.1:18476/a c; git -C c log --format=%s; kill $!

## git-rebase: with an editor
# packages: git
git init -q -b main r; cd r; git config user.name me; git config user.email m@e; for i in 1 2 3; do echo $i >f$i; git add .; git commit -qm $i; done; GIT_SEQUENCE_EDITOR='sed -i 2d' git rebase -q -i HEAD~2; git log --format=%s

## git-signed: with gpg
# packages: git gpg gpg-agent
export GNUPGHOME=$PWD/g; mkdir -m 700 g; gpg --batch -q --passphrase '' --quick-gen-key me@example.org ed25519 sign never 2>/dev/null; git init -q r; cd r; git config user.name me; git config user.email me@example.org; git config user.signingkey me@example.org; git commit -q -S --allow-empty -m signed; git log --format='%G? %s'; gpgconf --kill all

## git-signed-terminal: gpg asks for a passphrase on the terminal
# packages: git gpg gpg-agent pinentry-curses
# terminal: secret\r
export GNUPGHOME=$PWD/g; mkdir -m 700 g; gpg --batch -q --pinentry-mode loopback --passphrase secret --quick-gen-key me@example.org ed25519 sign never 2>/dev/null; export GPG_TTY=$(tty); gpgconf --kill all; echo x >f; gpg -q --detach-sign f 2>/dev/null >/dev/null; clear; gpg -q --verify f.sig f 2>&1 | grep -c Good; gpgconf --kill all

## git-ssh-signed: with a key of ssh
# packages: git openssh-client
ssh-keygen -q -t ed25519 -N '' -f k; git init -q r; cd r; git config user.name me; git config user.email m@e; git config gpg.format ssh; git config user.signingkey ../k.pub; git commit -q -S --allow-empty -m s; git cat-file commit HEAD | grep -c 'BEGIN SSH SIGNATURE'

## git-worktree: two directories
# packages: git
git init -q -b main r; cd r; git -c user.name=me -c user.email=m@e commit -q --allow-empty -m x; git worktree add -q ../w -b w; git worktree list | wc -l

## subversion: a repository over a file
# packages: subversion
svnadmin create s; svn -q co "file://$PWD/s" w; cd w; echo x >f; svn -q add f; svn -q ci -m one --username me; svn -q up; svn log -q | grep -c r1

## mercurial: a repository
# packages: mercurial
hg init r; cd r; echo x >f; hg -q ci -A -m one -u me; hg log -T '{desc}\n'
