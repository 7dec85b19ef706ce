--- What the numbers in a tree of fixes mean, `leaf % 4`; the rest is an index into a list.
return { FUNCTION = 0, HANDLE = 1, OBJECT = 2, NODE = 3 }
