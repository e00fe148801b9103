/**
 * What makes a shell complete this command.
 *
 * Rules of this file: a script knows nothing but how to ask `reg __complete`, which answers with one candidate a line and,
 * behind a tab, what it is; `:files` in place of candidates is for the shell to answer. A candidate that ends in a slash is
 * the beginning of a word. Whoever completes the command by a path to it asks that one.
 */

import type { Shell } from '../tree/names.ts';

const bash = `# Completion of reg in bash: source <(reg completion bash)

_reg() {
  local line="\${COMP_LINE:0:COMP_POINT}" breaks='' behind='' value rest
  local -a words
  COMPREPLY=()
  read -r -a words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  # Bash breaks words at characters that registries and references have in them, and replaces what is behind the last.
  local current="\${words[\${#words[@]}-1]}" mark
  for mark in : = @; do
    [[ $COMP_WORDBREAKS == *$mark* ]] && breaks+=$mark
  done
  [[ -n $breaks ]] && behind="\${current%"\${current##*[$breaks]}"}"
  while IFS=$'\\t' read -r value rest; do
    if [[ $value == :files ]]; then
      compopt -o default
      return
    fi
    COMPREPLY+=("\${value#"$behind"}")
  done < <("$1" __complete -- "\${words[@]:1}" 2>/dev/null)
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == */ ]] && compopt -o nospace
}

complete -F _reg reg regauth
`;

const zsh = `#compdef reg regauth
# Completion of reg in zsh: source <(reg completion zsh), or this text as _reg in a folder of $fpath.

_reg() {
  local -a whole begun
  local line value
  for line in "\${(@f)$("$words[1]" __complete -- "\${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}"; do
    value="\${line%%$'\\t'*}"
    # A colon ends the value there.
    line="\${value//:/\\\\:}:\${line#*$'\\t'}"
    case $value in
      '') ;;
      :files) _files; return ;;
      */) begun+=("$line") ;;
      *) whole+=("$line") ;;
    esac
  done
  _describe -V reg whole
  _describe -V reg begun -S ''
}

if [[ \${funcstack[1]} == _reg ]]; then
  _reg
else
  compdef _reg reg regauth
fi
`;

const fish = `# Completion of reg in fish: reg completion fish > ~/.config/fish/completions/reg.fish

function __reg_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l lines (command $program __complete -- $words "$current" 2>/dev/null)
    if test "$lines[1]" = ':files'
        __fish_complete_path "$current"
    else
        printf '%s\\n' $lines
    end
end

complete -c reg -f -a '(__reg_complete)'
complete -c regauth -f -a '(__reg_complete)'
`;

/** By shell. */
export const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish };
