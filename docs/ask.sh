#!/bin/bash
# ask.sh: record docs/ask.md: a question of a toolbox, put and answered in a real terminal (tmux), nothing edited.
#
#   tests/lab/user docs/ask.sh >docs/ask.md        on a machine without systemd, as root
#   docs/ask.sh >docs/ask.md                       as an ordinary user elsewhere
#
# Wants bin/ (make build), an image (IMAGE, or localhost/tbx/debian:12, which make try makes), no toolbox and no policy
# of the user's yet. It needs tmux, and leaves nothing behind but lines in the audit log.
# shellcheck disable=SC2016,SC2005 # back quotes are Markdown; echo ends the text with one newline
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/.."
policy=${XDG_CONFIG_HOME:-$HOME/.config}/tbx/host-policy.d
image=${IMAGE:-localhost/tbx/debian:12}
tmux() { command tmux -L tbx-ask -f /dev/null "$@"; }
export PATH=$PWD/bin:$PATH
[ -z "$(tbx list --names)" ] || { echo "ask: there are toolboxes; the recording wants to start from none" >&2; exit 1; }
[ ! -e "$policy" ] || { echo "ask: there is a policy, $policy, which the recording would change" >&2; exit 1; }
trap 'tmux kill-server 2>/dev/null || true; tbx rm --force build >/dev/null 2>&1 || true; rm -rf "$policy" /tmp/ask' EXIT

mkdir -p /tmp/ask "$policy" && cd /tmp/ask
tbx --quiet create --image "$image" build >/dev/null 2>&1
cat >"$policy/10-mine.toml" <<'TOML'
[[rule]]
box = "build"
exec = "lsblk"
action = "ask"
remember = "always"
TOML
chmod 600 "$policy/10-mine.toml"
# Two terminals: host, and toolbox, which begins on the host too.
tmux new-session -d -s host -x 100 -y 40 'PS1="host\$ " exec bash --noprofile --norc'
tmux new-session -d -s toolbox -x 100 -y 40 'PS1="host\$ " exec bash --noprofile --norc'

screen() { echo "$(tmux capture-pane -p -J -t "$1" -S - | sed 's/[[:space:]]*$//')"; }   # echo drops the empty lines at the end
# until_shown TERMINAL PATTERN: wait until the screen ends in what the pattern (of bash) matches.
until_shown() {
  for _ in $(seq 240); do
    sleep 0.25
    [[ $(screen "$1") =~ $2$ ]] && return 0
  done
  echo "ask: the terminal $1 does not show $2:" >&2; screen "$1" >&2; return 1
}
type() { tmux send-keys -t "$1" -l -- "$2"; tmux send-keys -t "$1" Enter; }
show() { printf '\n%s\n\n```text\n' "$2"; screen "$1" | sed '${/^host\$$/d; /tmp\/ask\$$/d}'; printf '```\n'; }   # without a last prompt that waits
fresh() { tmux send-keys -t "$1" C-l; sleep 0.5; tmux clear-history -t "$1"; }

cat <<'END'
# A question of a toolbox

Recorded from two real terminals by [ask.sh](ask.sh), on a host without a desktop; nothing
is edited but that a last, empty prompt is left away. [host-policy.md](host-policy.md) has the rest.
END
until_shown host '\$ ?'; until_shown toolbox '\$ ?'
type host "cat ${policy/#"$HOME"/\~}/10-mine.toml"; until_shown host '\$ ?'
show host 'On the host, the owner has one rule of their own: a program in the toolbox `build` may list disks, if they say so.'

fresh toolbox; type toolbox 'tbx enter build'; until_shown toolbox 'ask\$ ?'
fresh host; type host 'tbx agent --prompt'; until_shown host 'Ctrl-C'
type toolbox 'tbx host-exec lsblk --nodeps --output NAME,SIZE'; until_shown toolbox 'at most [0-9]+ s'
show toolbox 'In another terminal, the toolbox is entered, and something in it asks. It waits, and is not told more.'
until_shown host '\[y/N\] ?'
type host y; until_shown toolbox 'ask\$ ?'
show host 'The question is put on the host, where no toolbox can draw it or answer it. No is the default.'
type toolbox 'tbx host-exec lsblk --nodeps --output NAME,SIZE'; sleep 2; until_shown toolbox 'ask\$ ?'
show toolbox 'Now it runs. The same once more is not asked about, because the rule says `remember = "always"`.'
fresh toolbox; fresh host; type toolbox 'tbx host-exec lsblk --discard'; until_shown host '\[y/N\] ?'
type host ''; until_shown toolbox 'ask\$ ?'
show toolbox 'Other arguments are another question, as another directory would be. The owner just presses Enter.'
tmux send-keys -t host C-c; until_shown host '\$ ?'
fresh host; type host 'tbx policy show | head -4'; until_shown host '\$ ?'
type host 'tbx policy test build -- lsblk --nodeps --output NAME,SIZE'; until_shown host '\$ ?'
type host 'tbx audit --toolbox build | tail -n 5'; until_shown host '\$ ?'
show host 'What was allowed from now on is a rule in front of the others, to be read and removed. All of it is in the log.'
