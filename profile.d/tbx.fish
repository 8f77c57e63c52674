# tbx.fish: the toolbox's name in fish's prompt, and the window's title; see tbx.sh.
if status is-interactive; and test -f /run/.toolboxenv; and test -r /run/tbx/state/name
    if not set -q TBX_TOOLBOX # root's shell after sudo, or sshd's
        read -g TBX_TOOLBOX </run/tbx/state/name
        test -r /run/tbx/state/mark; and read -g TBX_PROMPT </run/tbx/state/mark
    end
    # What fish's own prompt has read from /etc/debian_chroot is the same thing.
    test -r /run/tbx/state/chroot; and set -g __fish_machine
    function __tbx_prompt --on-event fish_prompt
        functions -q __tbx_fish_prompt; and return
        set -q TBX_PROMPT; and test -n "$TBX_PROMPT"; or return
        functions --copy fish_prompt __tbx_fish_prompt
        function fish_prompt
            if test -n "$NO_COLOR"; or test -z "$TERM"; or test "$TERM" = dumb
                echo -n "$TBX_PROMPT"
            else
                set_color magenta
                echo -n "$TBX_PROMPT"
                set_color normal
            end
            __tbx_fish_prompt
        end
    end
    if set -q TBX_TITLE; and test -n "$TBX_TITLE"; and test "$TERM" != dumb
        function fish_title
            echo "$TBX_TOOLBOX: "(prompt_pwd)
        end
    end
end
