# shellcheck shell=bash
# prompt.bash: the toolbox's name in bash's prompt, and the window's title; see tbx.sh.
# A session's PROMPT_COMMAND reads it at every prompt, so that shells that are started
# inside have it too and files read later (~/.bashrc) may set PS1 anew. No file of a
# package has to be changed for it.
# shellcheck disable=SC2016 # the shell expands it at each prompt

__tbx_status=$?
[ -f /run/.toolboxenv ] && [ -r /run/tbx/state/name ] || return "$__tbx_status"

if [ -z "${TBX_TOOLBOX-}" ]; then # root's shell after sudo, or sshd's
  read -r TBX_TOOLBOX </run/tbx/state/name
  [ ! -r /run/tbx/state/mark ] || IFS= read -r TBX_PROMPT </run/tbx/state/mark
fi

if [ -n "${TBX_PROMPT-}" ]; then
  # PS1 gets the variable and not its value, which the shell would read as a command.
  case "$PS1" in
    *'${TBX_PROMPT-}'*) ;;
    *)
      if [ -n "${NO_COLOR-}" ] || [ "${TERM:-dumb}" = dumb ]; then
        PS1='${TBX_PROMPT-}'"$PS1"
      else
        PS1='\[\033[35m\]${TBX_PROMPT-}\[\033[0m\]'"$PS1"
      fi
      ;;
  esac
fi
# Debian's way to say the same thing, for shells that do not come here.
if [ -n "${debian_chroot-}" ] && [ -r /run/tbx/state/chroot ]; then
  read -r __tbx_chroot </run/tbx/state/chroot
  [ "$debian_chroot" != "$__tbx_chroot" ] || debian_chroot=
fi
if [ -n "${TBX_TITLE-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  printf '\033]0;%s: %s\007' "$TBX_TOOLBOX" "${PWD/#"$HOME"/\~}"
fi
# What the user's files added is for this shell: others may not know the functions.
[ "${PROMPT_COMMAND[*]-}" = '. /run/tbx/box/shell/prompt.bash 2>/dev/null' ] || export -n PROMPT_COMMAND
return "$__tbx_status"
