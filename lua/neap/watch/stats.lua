--- Counters that are cheap enough for production: written by each worker, summed by readers.
local native = require 'neap.ffi'
local C, W = native.C, native.W

--- @return table tasks (live), started, ready (on this worker), queued (spawned, not begun) and
---   workers
local function stats()
  return {
    started = C.npl_stat(W, 0), tasks = C.npl_stat(W, 1), ready = C.npl_stat(W, 2),
    queued = C.npl_stat(W, 3), workers = C.npl_workers(W),
  }
end

return { stats = stats }
