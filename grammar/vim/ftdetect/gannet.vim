autocmd BufNewFile,BufRead *.gnt setfiletype gannet
