#!/bin/bash
# tour.sh: record the tour of docs/tour.md: a real tbx, driven in a real terminal (tmux), nothing edited.
#
#   tests/lab/user docs/tour.sh >docs/tour.md        on a machine without systemd, as root
#   docs/tour.sh >docs/tour.md                       as an ordinary user elsewhere
#
# Wants the image localhost/tbx/debian:12 (make try makes it) or, for the first step, an answering registry, and no
# toolbox yet. It needs tmux and a Debian mirror, and leaves nothing behind but the image.
# shellcheck disable=SC2016,SC2005 # back quotes are Markdown; echo ends the text with one newline
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/.."
tmux() { command tmux -L tbx-tour -f /dev/null "$@"; }
trap 'tmux kill-server 2>/dev/null || true; bin/tbx rm --force --all >/dev/null 2>&1 || true' EXIT

[ -z "$(bin/tbx list --names)" ] || { echo "tour: there are toolboxes; the tour wants to start from none" >&2; exit 1; }
export PATH=$PWD/bin:$PATH
mkdir -p /tmp/tour && cd /tmp/tour
tmux new-session -d -x 110 -y 60 'PS1="host\$ " exec bash --noprofile --norc'
tmux set-option history-limit 10000

# type LINE: type it, wait until the screen has been the same for 1.5 s and ends in a prompt or question.
screen() { echo "$(tmux capture-pane -p -J -S - | sed 's/[[:space:]]*$//')"; }   # echo drops the empty lines at the end
settle() {
  local last='' now same=0
  for _ in $(seq 600); do
    sleep 0.25
    now=$(screen)
    if [ "$now" = "$last" ] && [[ ${now##*$'\n'} =~ (\$|\[y/N\])$ ]]; then same=$((same + 1)); else same=0; fi
    [ $same -lt 6 ] || return 0
    last=$now
  done
  echo "tour: the screen did not settle" >&2; return 1
}
type() { tmux send-keys -l -- "$1"; tmux send-keys Enter; settle; }
# part TEXT LINE...: one part of the tour: a sentence, then the screen of these lines.
part() {
  printf '\n%s\n\n```text\n' "$1"; shift
  tmux send-keys C-l; sleep 0.5; tmux clear-history; settle
  for l in "$@"; do type "$l"; done
  screen | sed '$d'   # without the last prompt, which waits
  printf '```\n'
}

cat <<'END'
# A tour

Recorded from a real terminal by [tour.sh](tour.sh), on a Debian 12 host without systemd; nothing is edited but that the
last, empty prompt of a screen is left away. The
host's prompt is `host$`.
END
settle
part 'Without any toolbox, `tbx enter` offers to make the one that fits the host. The shell that opens is yours: same user, same directory, same terminal.' \
  'tbx enter' y 'head -1 /etc/os-release; id -un; pwd'
part 'The prompt has the name of the toolbox. `sudo` needs no password, and what is installed stays inside.' \
  'sudo apt-get update -qq && sudo apt-get install -qq -y hello 2>&1 | tail -2' 'hello' 'exit'
part 'Back on the host there is no `hello`, but it can be run. Exit codes, pipes and standard error are the command'\''s own.' \
  'hello' 'tbx run hello' "printf 'c\na\nb\n' | tbx run sort | head -1" "tbx run sh -c 'exit 42'; echo \$?" 'tbx run hallo; echo $?'
part 'What is a toolbox made of, and what can it reach?' \
  'tbx list' 'tbx inspect debian-toolbox-12 | head -20'
part 'What would podman be asked for another one? `--dry-run` does nothing.' \
  'tbx create --dry-run --no-x11 --no-ssh-agent --volume /srv:/srv:ro other | cut -c1-108 | tail -19'
part 'A command in a toolbox that is not running starts it.' \
  'tbx stop debian-toolbox-12' 'tbx list' 'time tbx run true' 'time tbx run true'
part 'Mistakes are answered with what to do next. `rm` asks first.' \
  'tbx enter debian-toolbx-12' 'tbx creaet' 'tbx stop --all && tbx rm debian-toolbox-12' y 'tbx list'
