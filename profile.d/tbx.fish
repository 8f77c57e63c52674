# tbx.fish: the toolbox's name in fish's prompt, and the window's title; see tbx.sh.
if status is-interactive; and set -q TBX_TOOLBOX; and test -f /run/.toolboxenv
    function __tbx_prompt --on-event fish_prompt
        functions -q __tbx_fish_prompt; and return
        set -q TBX_PROMPT; and test -n "$TBX_PROMPT"; or return
        functions --copy fish_prompt __tbx_fish_prompt
        function fish_prompt
            set_color magenta
            echo -n "$TBX_PROMPT"
            set_color normal
            __tbx_fish_prompt
        end
    end
    if set -q TBX_TITLE; and test -n "$TBX_TITLE"
        function fish_title
            echo "$TBX_TOOLBOX: "(prompt_pwd)
        end
    end
end
