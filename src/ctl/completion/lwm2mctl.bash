# SPDX-License-Identifier: Apache-2.0
# bash completion for lwm2mctl. Verbs and options are those of its own help, paths and servers those
# of the daemon.

_lwm2mctl_ask() {
        "${_lwm2mctl_command[@]}" --timeout=1 "$@" 2>/dev/null
}

# Verbs of one or two words: "read", "server add".
_lwm2mctl_verbs() {
        _lwm2mctl_ask --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\( [a-z]\+\)\?\) .*/\1/p'
}

_lwm2mctl_options() {
        _lwm2mctl_ask "$@" --help |
                sed -n '/^  -/{h;s/^  \(-[^ ,]*\).*/\1/p;g;s/^  -[^ ,]*, \(-[^ ]*\) .*/\1/p}' |
                sed 's/=.*/=/'
}

_lwm2mctl_reply() {
        local word
        while IFS= read -r word; do
                [[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("$word")
        done
}

_lwm2mctl() {
        local cur line=${COMP_LINE:0:COMP_POINT} verb="" word i
        local -a words _lwm2mctl_command
        COMPREPLY=()

        # Readline cuts words at '=' and ':'; paths and values are wanted whole.
        read -ra words <<<"$line"
        [[ $line == *[[:space:]] ]] && words+=("")
        cur=${words[-1]}
        _lwm2mctl_command=("${words[0]}")
        for ((i = 1; i < ${#words[@]} - 1; i++)); do
                word=${words[i]}
                case $word in
                --)
                        compopt -o default 2>/dev/null
                        return
                        ;;
                --bus=* | --instance=*) _lwm2mctl_command+=("$word") ;;
                --bus | --instance)
                        _lwm2mctl_command+=("$word" "${words[i + 1]}")
                        ((i++))
                        ;;
                --timeout) ((i++)) ;;
                -*) ;;
                *)
                        if [[ -z $verb ]]; then
                                verb=$word
                        elif [[ $verb == server || $verb == model ]]; then
                                verb+=" $word"
                        fi
                        ;;
                esac
        done

        if [[ $cur == -* ]]; then
                # shellcheck disable=SC2086
                _lwm2mctl_reply < <(_lwm2mctl_options $verb)
        elif [[ -z $verb ]]; then
                _lwm2mctl_reply < <(_lwm2mctl_verbs | sed 's/ .*//' | sort -u)
        else
                case $verb in
                server | model) _lwm2mctl_reply < <(_lwm2mctl_verbs | sed -n "s/^$verb //p") ;;
                wait)
                        _lwm2mctl_reply < <(printf '%s\n' bootstrapping registering registered online \
                                offline disabled paused stopped idle enrolling resolving connecting updating failed)
                        ;;
                log-level) _lwm2mctl_reply < <(printf '%s\n' error warning notice info debug) ;;
                "server add" | "server list" | "model list") ;;
                "server "* | handle-credentials) _lwm2mctl_reply < <(_lwm2mctl_ask server list | sed 's/ .*//') ;;
                "model add") compopt -o default 2>/dev/null ;;
                "model show") _lwm2mctl_reply < <(_lwm2mctl_ask model list | sed 's/ .*//') ;;
                ls | read | write | exec | create | delete | get | set | put | fetch | send | cache | push | watch | handle)
                        _lwm2mctl_reply < <(_lwm2mctl_ask ls -l | sed 's/ .*//')
                        [[ $verb == put || $verb == fetch || $verb == push ]] && compopt -o default 2>/dev/null
                        [[ $verb == set ]] && compopt -o nospace 2>/dev/null
                        ;;
                esac
        fi
        [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
        return 0
}

complete -F _lwm2mctl lwm2mctl
