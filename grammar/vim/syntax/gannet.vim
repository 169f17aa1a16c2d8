" Vim syntax file for programs and notebooks of gannet (*.gnt).
" Made by `gannet grammar vim` from the tables of the checker: edit those, not this file.

if exists("b:current_syntax")
  finish
endif
let s:cpo = &cpo
set cpo&vim

let s:functions = ["attributes", "blank", "channel", "compare", "compose", "cosine", "degrade",
\ "diagnose", "direction", "ensemble", "explore", "faces", "files", "fit", "grid", "hist",
\ "identity", "image", "images", "info", "invert", "ladder", "latent", "len", "lerp", "mae",
\ "mask", "max", "mean", "measure", "min", "mix", "ms_ssim", "mse", "norm", "paint", "paste",
\ "path", "perceptual", "plot", "print", "psnr", "render", "rmse", "sample", "save", "scatter",
\ "slerp", "ssim", "strip", "sum", "table", "text", "to"]
let s:bare = ["mean_w", "pc"]
let s:arguments = ["a", "adversarial", "align", "along", "alpha", "b", "ball", "bce",
\ "best_of", "bins", "blur", "box", "camera", "channels", "class", "closed", "coarse", "code",
\ "codes", "columns", "combine", "compose", "cutoff", "depth", "directions", "discriminator",
\ "discriminator_file", "down", "edits", "ellipse", "encoder", "error", "face", "feather",
\ "fill", "fill_lr", "finish", "fov", "fps", "frames", "from", "gap", "generations",
\ "geocross", "grey", "ground", "history", "huber", "identity", "identity_net", "in_domain",
\ "index", "init", "into", "invert", "jpeg", "key", "l1", "l2", "labels", "layer", "layers",
\ "leapfrog", "levels", "locality", "log", "lpips", "lpips_heads", "lpips_net", "lr", "map",
\ "map_lr", "map_steps", "maps", "mask", "masks", "match", "method", "minutes", "model",
\ "msssim", "n", "name", "net", "noise", "noise_lr", "noise_steps", "nscd", "of", "offset",
\ "optimizer", "out", "outside", "over", "parts", "passes", "path", "perceptual", "picture",
\ "pictures", "pitch", "plateau", "pose", "prior", "prior_pn", "psi", "quality", "rank",
\ "refine", "residual", "restarts", "rotate", "rounds", "saliency", "samples", "schedule",
\ "search", "searches", "seed", "shift", "sigma", "size", "slack", "space", "start", "steps",
\ "strength", "surrogate", "surrogate_lr", "t", "temperature", "to", "truncation", "tune",
\ "tune_lr", "units", "until", "value", "values", "views", "w_encoder", "what", "x", "y",
\ "yaw"]
let s:choices = ["adam", "adamax", "all", "any", "auto", "basincma", "bdinvert", "black",
\ "center", "changed", "class", "cma", "consecutive", "const", "constant", "cosine",
\ "creswell", "dgp", "dhr", "ellipse", "encoder", "face", "ffhq", "ganpaint", "ganseeing",
\ "hmc", "hybrid", "hyper", "i2s", "i2spp", "idinvert", "igan", "ii2s", "ilo", "jitter",
\ "largest", "latent", "layerwise", "lbfgs", "linear1cycle", "linear1cycledrop", "mean",
\ "mganprior", "mimicgan", "mix", "none", "optimize", "own", "pca", "projector", "pti",
\ "pulse", "ramp", "random", "ranger", "residual", "rmsprop", "sgd", "stylespace", "sum",
\ "white", "ylg", "z"]
let s:spaces = ["F", "N", "P", "PN", "S", "W", "Z"]
let s:plus_spaces = ["PN", "W"]

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

syntax keyword gannetStatement assert import load show
syntax keyword gannetStatement def param nextgroup=gannetBound skipwhite
syntax keyword gannetInside by for if in
syntax keyword gannetTruth false true

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
