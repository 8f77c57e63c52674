# Editors, terminals, multiplexers.

## terminal-name: has one
# short
# terminal
t=$(tty); test -c "$t" && echo "${t%%[0-9]*}"; perl -MPOSIX -e 'print defined ttyname(0) ? "named\n" : "no name\n"'

## terminal-size: is the window's
# short
# terminal
stty size; stty -a | grep -o 'isig'

## terminal-control: of jobs
# short
# terminal
set -m; sleep 30 & jobs | tr -s ' ' | sed 's/.*Running/Running/'; kill %1; wait 2>/dev/null; echo done

## controlling-terminal: /dev/tty
# short
# terminal
echo to-terminal >/dev/tty; cut -d" " -f7 /proc/self/stat | grep -vc "^0$"

## colours: by the terminal's description
# short
# terminal
tput colors; tput cols; tput smul | od -An -tx1

## pager: less
# short
# terminal: q
seq 200 >n; less n; echo; echo left

## script: a recording
# short
# terminal
script -qec 'tty | sed s/[0-9]*$//' log; tail -n +2 log | head -1 | tr -d '\r'

## vim: edits a file
# packages: vim
printf 'one\n' >f; vim -u NONE -es -c '%s/one/two/' -c 'wq' f; cat f

## vim-terminal: with keys
# packages: vim
# terminal: ihello\e:wq\r
TERM=xterm vim -u NONE f; clear; cat f

## emacs: edits a file
# packages: emacs-nox
echo one >f; emacs -Q -batch f --eval '(progn (insert "two ") (save-buffer))' 2>/dev/null; cat f

## emacs-server: a client on the terminal
# packages: emacs-nox
# terminal: \x18\x03
export XDG_RUNTIME_DIR=$PWD HOME=$PWD; emacs -Q --daemon=day >/dev/null 2>&1; emacsclient -s day -t f 2>err; clear; cat err; emacsclient -s day -e '(+ 1 2)'; emacsclient -s day -e '(kill-emacs)' >/dev/null 2>&1; true

## ed: the standard editor
# packages: ed
printf 'a\nline\n.\nw f\nq\n' | ed -s; cat f

## tmux: a session behind
# packages: tmux
tmux -L day -f /dev/null new-session -d -x 80 -y 24 'echo in-tmux; tty | cut -c1-8; sleep 60'; sleep 2; tmux -L day capture-pane -p | head -2; tmux -L day kill-server

## screen: a session behind
# packages: screen
export SCREENDIR=$PWD/s; mkdir -m 700 s; screen -dmS day sh -c 'echo in-screen >o; sleep 60'; sleep 2; cat o; screen -S day -X quit; screen -ls | tail -1 | sed "s,$PWD,HERE,"

## expect: drives a program
# packages: expect
expect -c 'log_user 0; spawn bash --norc; send "echo a\$((1+1))b\r"; expect "a2b"; puts found; send "exit\r"; expect eof'

## at-bell: dialog draws
# packages: dialog
# terminal: \r
dialog --msgbox day 5 20 2>/dev/null; clear; echo closed
