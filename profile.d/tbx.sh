# shellcheck shell=bash
# tbx.sh: the toolbox's name in bash's prompt, the window's title, and tbx's and the
# host's commands in PATH. Read by login shells; prompt.bash reaches the others.
# Written into every toolbox by tbx; in a container of somebody else's and on the
# host it does nothing.
# TBX_PROMPT is what the prompt shows; tbx sets it from [prompt] of its
# configuration. Unset it, or leave it empty, and the prompt stays as it is. A shell
# that has none of a session's variables (root's after sudo, sshd's) takes it from a file.
# shellcheck disable=SC2016 # the shell expands it at each prompt

[ -f /run/.toolboxenv ] && [ -r /run/tbx/state/name ] || return 0

# Tbx's own commands first and the host's last: /etc/profile of most images has just
# set PATH anew. The toolbox's root has neither.
if [ -n "${TBX_TOOLBOX-}" ] && [ "${USER-}" != root ]; then
  case ":$PATH:" in *:/run/tbx/box/first:*) ;; *) PATH=/run/tbx/box/first:$PATH ;; esac
  if [ -n "${TBX_BRIDGE-}" ]; then
    case ":$PATH:" in *:/run/tbx/box/shims:*) ;; *) PATH=$PATH:/run/tbx/box/shims ;; esac
  fi
fi

case "$-" in *i*) ;; *) return 0 ;; esac

if [ -n "${BASH_VERSION-}" ]; then
  case "${PROMPT_COMMAND-}" in
    */run/tbx/box/shell/prompt.bash*) ;;
    # On a line of its own, whatever the one before ends with.
    *) PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND
}. /run/tbx/box/shell/prompt.bash 2>/dev/null" ;;
  esac
elif [ -n "${ZSH_VERSION-}" ]; then
  # shellcheck source=/dev/null
  [ ! -r /run/tbx/box/shell/tbx.zsh ] || . /run/tbx/box/shell/tbx.zsh
else
  # ash, dash and their kin: no hook, so once.
  if [ -z "${TBX_TOOLBOX-}" ]; then
    read -r TBX_TOOLBOX </run/tbx/state/name
    [ ! -r /run/tbx/state/mark ] || IFS= read -r TBX_PROMPT </run/tbx/state/mark
  fi
  if [ -n "${TBX_PROMPT-}" ]; then
    case "${PS1-}" in *'${TBX_PROMPT-}'*) ;; *) PS1='${TBX_PROMPT-}'"${PS1:-\$ }" ;; esac
  fi
fi
