--- The engine as this Lua state sees it: the library, this state's worker, and the numbers that
--- both sides share. The declarations come from the library itself; only the call that fetches
--- them is declared by hand.
local ffi = require 'ffi'

local own = package.loaded['neap.own'] or false

-- Next to the module path first: a checkout works without being installed.
local function candidates()
  local here = debug.getinfo(1, 'S').source:match '^@(.*)lua/neap/ffi%.lua$'
  local paths = { os.getenv 'NEAP_LIB' }
  local searchpath = package.searchpath
  if searchpath then paths[#paths + 1] = searchpath('libneap', package.cpath) end
  if here then
    for _, preset in ipairs { 'release', 'dev' } do
      paths[#paths + 1] = here .. 'build/' .. preset .. '/libneap.so'
    end
  end
  paths[#paths + 1] = 'neap'
  return paths
end

local function load_library()
  if own then
    if own.library then return ffi.load(own.library), own.library end
    return ffi.C, nil
  end
  local reasons = {}
  for _, path in ipairs(candidates()) do
    local ok, library = pcall(ffi.load, path)
    if ok then return library, path end
    reasons[#reasons + 1] = '  ' .. tostring(library)
  end
  error('cannot load libneap; set NEAP_LIB to its path. Tried:\n' .. table.concat(reasons, '\n'), 0)
end

-- A second state of this module in one lua_State (a reload) finds the types there already.
local function declare(library)
  if pcall(ffi.typeof, 'np_front') then return end
  pcall(ffi.cdef, 'const char *npl_cdef(void);')
  ffi.cdef(ffi.string(library.npl_cdef()))
end

local C, library_path = load_library()
declare(C)

local front = ffi.typeof 'np_front *'

-- Whether the worker's memory is still there: at the end of a lua_State finalizers run in any
-- order.
local life = { ended = false }

local native = { C = C, own = own, library = library_path, life = life }

-- The collector marks finalizers: one that knew `native`, and so the worker, would keep it for
-- ever.
local function end_engine(worker)
  life.ended = true
  C.npl_release(worker)
end

local function open_worker()
  if own then return ffi.cast(front, own.worker) end
  local worker = C.npl_open()
  if worker == nil then error('neap: memory: cannot open the engine', 0) end
  -- Whoever drops the module or closes the state without neap.close ends the engine all the same.
  return ffi.gc(worker, end_engine)
end

for name, number in pairs {
  OK = 0, CLOSED = -1, PARKED = -2, PUMP = -3, TIMEOUT = -4, CANCELED = -5, TRAVELS = -6,
  MESSAGE = -7, NOMEM = -8, AGAIN = -9, YIELD = -10, STATE = -11, DEADLOCK = -12, LIMIT = -13,
  RANGE = -14, DONE = -15, IO = -16, IDLE = -17, FORKED = -18, OUTPUT = -19,
  NO_SLOT = 0xffffffff,
} do native[name] = number end

native.W = open_worker()
--- The value table: what a local channel holds by reference, by slot.
native.V = {}

return native
