# tbx.zsh: the toolbox's name in zsh's prompt, and the window's title; see tbx.sh.
[[ -o interactive && -f /run/.toolboxenv && -r /run/tbx/state/name ]] || return 0

if [[ -z ${TBX_TOOLBOX-} ]]; then # root's shell after sudo, or sshd's
  read -r TBX_TOOLBOX </run/tbx/state/name
  [[ ! -r /run/tbx/state/mark ]] || IFS= read -r TBX_PROMPT </run/tbx/state/mark
fi

__tbx_prompt() {
  if [[ -n ${__tbx_start-} && ${ZDOTDIR-} == "$__tbx_start" ]]; then
    if [[ -n ${TBX_ZDOTDIR-} ]]; then ZDOTDIR=$TBX_ZDOTDIR; else unset ZDOTDIR; fi
    unset TBX_ZDOTDIR
  fi
  if [[ -n ${TBX_PROMPT-} && $PS1 != *"${TBX_PROMPT//\%/%%}"* ]]; then
    if [[ -n ${NO_COLOR-} || ${TERM:-dumb} == dumb ]]; then
      PS1="${TBX_PROMPT//\%/%%}$PS1"
    else
      PS1="%F{magenta}${TBX_PROMPT//\%/%%}%f$PS1"
    fi
  fi
  if [[ -n ${TBX_TITLE-} && ${TERM:-dumb} != dumb ]]; then
    print -Pn '\e]0;'"$TBX_TOOLBOX"': %~\a'
  fi
}

# While a command runs, ZDOTDIR is tbx's again, so that a zsh that it starts comes here
# too; at the prompt, and in the user's own files, it is the user's.
__tbx_lend() {
  if [[ -n ${__tbx_start-} && ${ZDOTDIR-} != "$__tbx_start" ]]; then
    typeset -gx TBX_ZDOTDIR=${ZDOTDIR-} ZDOTDIR=$__tbx_start
  fi
}

autoload -Uz add-zsh-hook && add-zsh-hook precmd __tbx_prompt && add-zsh-hook preexec __tbx_lend
