--- What stands at the end of every graph: keeps the one item that came as the result.
return {
  name = 'value', kind = 20, reduces = true, single = true,
  declare = function() return {} end,
  body = 'S.result = x',
}
