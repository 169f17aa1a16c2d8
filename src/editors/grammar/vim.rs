//! The syntax file of vim and neovim.

use super::words::Words;

/// Longest line of words, in columns.
const COLUMNS: usize = 96;

/// The syntax file: the words, then the rules.
pub(super) fn syntax(words: &Words) -> String {
    let lists = [
        ("functions", &words.functions),
        ("bare", &words.bare),
        ("arguments", &words.arguments),
        ("choices", &words.choices),
        ("spaces", &words.spaces),
        ("plus_spaces", &words.plus_spaces),
    ];
    let keywords = [
        ("gannetStatement", &words.statements, ""),
        ("gannetStatement", &words.binding, " nextgroup=gannetBound skipwhite"),
        ("gannetInside", &words.inside, ""),
        ("gannetTruth", &words.truths, ""),
    ];
    let keyword = |(group, words, then): (&str, &Vec<&str>, &str)| {
        format!("syntax keyword {group} {}{then}\n", words.join(" "))
    };
    let mut out = HEAD.to_owned();
    out.extend(lists.into_iter().map(|(name, words)| list(name, words)));
    out.push_str(BEFORE);
    out.extend(keywords.into_iter().map(keyword));
    out.push_str(RULES);
    out
}

/// `let s:name = ["a", "b"]`, wrapped.
fn list(name: &str, words: &[&str]) -> String {
    let mut lines = vec![format!("let s:{name} = [")];
    for word in words {
        let more = format!("\"{word}\", ");
        match lines.last_mut() {
            Some(line) if lines_fit(line, &more) => line.push_str(&more),
            _ => lines.push(format!("\\ {more}")),
        }
    }
    let text = lines.iter().map(|l| l.trim_end()).collect::<Vec<_>>().join("\n");
    format!("{}]\n", text.trim_end_matches(','))
}

fn lines_fit(line: &str, more: &str) -> bool {
    line.len() + more.len() <= COLUMNS
}

const HEAD: &str = r#"" Vim syntax file for programs and notebooks of gannet (*.gnt).
" Made by `gannet grammar vim` from the tables of the checker: edit those, not this file.

if exists("b:current_syntax")
  finish
endif
let s:cpo = &cpo
set cpo&vim

"#;

const BEFORE: &str = r##"
" A pattern for one of these words.
function! s:any(words) abort
  return '\<\%(' . join(a:words, '\|') . '\)\>'
endfunction

" The words of text cells. It changes the settings below.
syntax include @gannetMarkdown syntax/markdown.vim
unlet! b:current_syntax

syntax case match
syntax iskeyword @,48-57,_,192-255
syntax sync fromstart

"##;

const RULES: &str = r##"
syntax match gannetBound /\K\k*/ contained

syntax match gannetOperator /\.\.\|[<>=!]=\|[-+*\/|@<>=]/
syntax match gannetOperator /|>/ nextgroup=gannetPiped skipwhite skipnl skipempty
syntax match gannetNumber /\<\d\+\%(\.\d\+\)\=\%([eE][-+]\=\d\+\)\=/

execute 'syntax match gannetFunction /' . s:any(s:functions) . '\ze\s*(/'
execute 'syntax match gannetPiped /' . s:any(s:functions) . '/ contained'
execute 'syntax match gannetFunction /' . s:any(s:bare) . '\%(\s*:\)\@!/'

" `name: word`; the word is one that arguments take, or the name of what follows it.
execute 'syntax match gannetArgument /' . s:any(s:arguments) . '\ze\s*:/'
      \ . ' nextgroup=gannetColon skipwhite'
syntax match gannetColon /:/ contained nextgroup=gannetChoice,gannetArgument skipwhite
execute 'syntax match gannetChoice /' . s:any(s:choices) . '\%(\s*[(:]\)\@!/ contained'

execute 'syntax match gannetSpace /' . s:any(s:spaces) . '/'
execute 'syntax match gannetSpace /\<\%(' . join(s:plus_spaces, '\|') . '\)+/'

syntax match gannetWrong /\\./ contained
syntax match gannetEscape /\\\%(["\\nt]\|u{\x\{1,6}}\)/ contained
syntax region gannetText start=/"/ skip=/\\./ end=/"/ end=/$/ keepend
      \ contains=gannetEscape,gannetWrong,@Spell

syntax keyword gannetTodo TODO FIXME XXX contained
syntax match gannetComment /#.*$/ contains=gannetTodo,@Spell
syntax match gannetCell /^\s*#%%.*$/
syntax region gannetProse matchgroup=gannetCell keepend contains=@gannetMarkdown
      \ start=/^\s*#%%\s*md\%(\s.*\)\=$/ end=/^\ze\s*#%%/

highlight default link gannetStatement Statement
highlight default link gannetInside Repeat
highlight default link gannetTruth Boolean
highlight default link gannetBound Identifier
highlight default link gannetFunction Function
highlight default link gannetPiped Function
highlight default link gannetArgument Label
highlight default link gannetChoice Constant
highlight default link gannetSpace Type
highlight default link gannetNumber Number
highlight default link gannetOperator Operator
highlight default link gannetText String
highlight default link gannetEscape SpecialChar
highlight default link gannetWrong Error
highlight default link gannetComment Comment
highlight default link gannetTodo Todo
highlight default link gannetCell PreProc

delfunction s:any
let b:current_syntax = "gannet"
let &cpo = s:cpo
unlet s:cpo
"##;
