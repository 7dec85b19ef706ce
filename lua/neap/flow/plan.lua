--- From a chain of stages to the C graph, its plan, and what each segment's Lua needs to know.
local codec = require 'neap.codec'
local errors = require 'neap.errors'
local ffi = require 'ffi'
local native = require 'neap.ffi'
local C = native.C

local plan = {}

local function chain_of(stage)
  local list = {}
  while stage do
    table.insert(list, 1, stage)
    stage = stage.previous
  end
  return list
end

-- A graph ends with its result: the one item there is, or the list of all.
local function complete(list)
  local last = list[#list]
  local flow = require 'neap.flow'
  if not last.op.single then
    last = flow.stage('collect', last)
    last.implicit, last.where = true, list[#list].where
    list[#list + 1] = last
  end
  list[#list + 1] = flow.stage('value', last)
  return list
end

local function check(status)
  if status == native.OK then return end
  if status == native.NOMEM then errors.raise(errors.memory 'graph') end
  errors.raise(errors.state(('a flow could not be planned (code %d)'):format(status)))
end

local function add_node(graph, stage)
  local numbers = stage.numbers or { 0, 0, 0 }
  check(C.npl_graph_add(graph, stage.op.kind, stage.flags or 0, numbers[1], numbers[2], numbers[3]))
  for _, text in ipairs(stage.texts or {}) do check(C.npl_graph_text(graph, text, #text)) end
  if stage.class then check(C.npl_graph_class(graph, stage.class, #stage.class)) end
  check(C.npl_graph_name(graph, stage.name or nil, stage.where or nil))
end

--- @return cdata np_graph *, owned by the collector
--- @return table list of stages; node i of the graph is list[i + 1]
function plan.graph(stage)
  local list = complete(chain_of(stage))
  local graph = C.npl_graph_open()
  if graph == nil then errors.raise(errors.memory 'graph') end
  graph = ffi.gc(graph, C.npl_graph_free)
  for _, each in ipairs(list) do add_node(graph, each) end
  return graph, list
end

local FIELDS = { 'fn', 'combine', 'init', 'n', 'by', 'emits', 'pure', 'implicit' }

-- What travels of a stage.
local function item_of(stage, mode)
  local item = {
    op_name = stage.op.name, mode = mode, label = stage.name or stage.op.name, where = stage.where,
  }
  local by_reference = {}
  for _, name in ipairs(stage.op.by_reference or {}) do by_reference[name] = true end
  for _, name in ipairs(FIELDS) do
    if not by_reference[name] then item[name] = stage[name] end
  end
  return item
end

--- The Lua half of a segment: its steps (by number) as lists of stages.
function plan.segment(run, list, index)
  local count = C.npl_run_steps(run, index)
  local spec = { steps = {}, count = count, last = index + 1 == C.npl_run_segments(run) }
  local has_lua = false
  for k = 0, count - 1 do
    local items = {}
    for i = 0, C.npl_run_items(run, index, k) - 1 do
      local code = C.npl_run_item(run, index, k, i)
      local node, mode = math.floor(code / 4), code % 4
      local item = item_of(list[node + 1], mode)
      item.node = node
      items[#items + 1] = item
    end
    if #items > 0 then
      spec.steps[k] = items
      has_lua = true
    end
  end
  spec.has_lua = has_lua
  return spec
end

-- Which stage it is that holds what cannot travel.
local function blame(spec, e)
  for _, items in pairs(spec.steps) do
    for _, item in ipairs(items) do
      local ok, found = pcall(codec.encode, item)
      if not ok then
        found.stage, found.declared, found.where = item.label, item.where, item.where or found.where
        return error(found, 0)
      end
    end
  end
  return error(e, 0)
end

--- Functions are copied into a flow, also where it was started: adding fan_out changes no result.
function plan.copy(spec)
  local ok, buffer, handles = pcall(codec.encode, spec)
  if not ok then return blame(spec, buffer) end
  local text = buffer:tostring()
  return codec.decode_string(text, handles)
end

--- Puts back what stays by reference.
function plan.attach(spec, list)
  for _, items in pairs(spec.steps) do
    for _, item in ipairs(items) do
      local stage = list[item.node + 1]
      for _, name in ipairs(stage.op.by_reference or {}) do item[name] = stage[name] end
    end
  end
  return spec
end

return plan
