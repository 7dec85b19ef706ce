--- The terminal of the prompt: asking for a line, while tasks run. What the executable offers for
--- it is declared here by hand, as the library does not have it (engine/cli/prompt.h).
local ffi = require 'ffi'
local native = require 'neap.ffi'
local value = require 'neap.value'
local W = native.W

pcall(ffi.cdef, [[
int32_t npl_prompt_open(np_front *w, const char *history);
void npl_prompt_ask(const char *prompt);
void npl_prompt_remember(const char *entry);
void npl_prompt_aim(np_outcome *outcome);
uint32_t npl_prompt_presses(void);
void npl_prompt_close(void);
int isatty(int fd);
]])

local terminal = {}
local answers

-- $XDG_STATE_HOME/neap/history; none without a home.
local function history_path()
  local state = os.getenv 'XDG_STATE_HOME'
  if not state or state:sub(1, 1) ~= '/' then
    local home = os.getenv 'HOME'
    state = home and home ~= '' and home .. '/.local/state'
  end
  return state and state .. '/neap/history' or nil
end

--- @return boolean is standard input a terminal?
function terminal.is_there() return ffi.C.isatty(0) == 1 end

--- @return boolean opened false: no terminal that lines can be edited on
function terminal.open()
  if ffi.C.npl_prompt_open(W, history_path()) ~= native.OK then return false end
  answers = value.take()
  -- Lines are whole where they end: the terminal shows them above what is being typed.
  io.stdout:setvbuf 'line'
  return true
end

--- Shows `prompt` and waits for a line; tasks run meanwhile.
--- @return string|boolean line true: dropped by Ctrl-C; false: the end
function terminal.ask(prompt)
  io.stdout:flush()
  ffi.C.npl_prompt_ask(prompt)
  return (answers:recv())
end

--- Puts an entry in the history, unless it begins with a space.
function terminal.remember(entry)
  if not entry:find '^%s' and not entry:find '%z' then ffi.C.npl_prompt_remember(entry) end
end

--- Ctrl-C is for the task of this outcome from now on; nil: for nobody.
function terminal.aim(outcome) ffi.C.npl_prompt_aim(outcome) end

--- @return integer how often Ctrl-C was pressed since the last aim
function terminal.presses() return ffi.C.npl_prompt_presses() end

function terminal.close() ffi.C.npl_prompt_close() end

return terminal
