# shellcheck shell=bash
# tbx.sh: the toolbox's name in bash's prompt, the window's title, and the host's
# commands in PATH.
# Written into every toolbox by tbx; on the host it does nothing.
# TBX_PROMPT is what the prompt shows; tbx sets it from [prompt] of its
# configuration. Unset it, or leave it empty, and the prompt stays as it is.
# shellcheck disable=SC2016 # the shell expands it at each prompt

[ -n "${TBX_TOOLBOX-}" ] && [ -f /run/.toolboxenv ] || return 0

# The host's commands by name, last: /etc/profile of most images has just set PATH
# anew. The toolbox's root has none.
if [ -n "${TBX_BRIDGE-}" ] && [ "${USER-}" != root ]; then
  case ":$PATH:" in *:/run/tbx/box/shims:*) ;; *) PATH=$PATH:/run/tbx/box/shims ;; esac
fi

case "$-" in *i*) ;; *) return 0 ;; esac

if [ -n "${BASH_VERSION-}" ]; then
  # At every prompt, because files read later (~/.bashrc) set PS1 anew. PS1 gets
  # the variable and not its value, which the shell would read as a command.
  __tbx_prompt() {
    if [ -n "${TBX_PROMPT-}" ]; then
      case "$PS1" in *'${TBX_PROMPT-}'*) ;; *) PS1='\[\033[35m\]${TBX_PROMPT-}\[\033[0m\]'"$PS1" ;; esac
    fi
    [ -z "${TBX_TITLE-}" ] || printf '\033]0;%s: %s\007' "$TBX_TOOLBOX" "${PWD/#"$HOME"/\~}"
  }
  case "${PROMPT_COMMAND-}" in
    *__tbx_prompt*) ;;
    *) PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND; }__tbx_prompt" ;;
  esac
elif [ -z "${ZSH_VERSION-}" ] && [ -n "${TBX_PROMPT-}" ]; then
  # ash, dash and their kin: no hook, so once.
  case "${PS1-}" in *'${TBX_PROMPT-}'*) ;; *) PS1='${TBX_PROMPT-}'"${PS1:-\$ }" ;; esac
fi
