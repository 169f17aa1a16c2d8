" Comments, cells as folds, layout by `gannet fmt`, mistakes by `:make` into the quickfix list.

if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1

setlocal commentstring=#\ %s comments=:# suffixesadd=.gnt
setlocal foldmethod=expr foldexpr=getline(v:lnum)=~'^\\s*#%%'?'>1':'=' nofoldenable
setlocal formatprg=gannet\ fmt\ -
setlocal makeprg=gannet\ check\ %:S
setlocal errorformat=%Eerror:\ %m,%C%*[\ ]┌─\ %f:%l:%c,%C%*[\ ]=\ %m,%C%*[\ ]try:\ %m,%-C%.%#

let b:undo_ftplugin = "setlocal commentstring< comments< suffixesadd< foldmethod< foldexpr<"
      \ . " foldenable< formatprg< makeprg< errorformat<"
