# tbx.zsh: the toolbox's name in zsh's prompt, and the window's title; see tbx.sh.
if [[ -o interactive && -n ${TBX_TOOLBOX-} && -f /run/.toolboxenv ]]; then
  __tbx_prompt() {
    if [[ -n ${TBX_PROMPT-} && $PS1 != *"$TBX_PROMPT"* ]]; then
      PS1="%F{magenta}${TBX_PROMPT}%f$PS1"
    fi
    [[ -z ${TBX_TITLE-} ]] || print -Pn '\e]0;'"$TBX_TOOLBOX"': %~\a'
  }
  autoload -Uz add-zsh-hook && add-zsh-hook precmd __tbx_prompt
fi
