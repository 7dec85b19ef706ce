std = 'luajit'
max_line_length = 100
self = false -- Methods of one interface need not all use it.
files['spec'] = { std = '+busted' }
exclude_files = { 'build' }
