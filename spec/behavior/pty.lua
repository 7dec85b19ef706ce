--- Drives a program on a terminal of its own, as a person would: types, and waits for what appears.
local ffi = require 'ffi'

ffi.cdef [[
typedef struct { unsigned short rows, columns, x, y; } pty_size;
typedef struct { int fd; short events, revents; } pty_pollfd;
int forkpty(int *master, char *name, const void *termios, const pty_size *size);
int execve(const char *path, char *const argv[], char *const envp[]);
int poll(pty_pollfd *fds, unsigned long count, int timeout);
long read(int fd, void *bytes, size_t size);
long write(int fd, const void *bytes, size_t size);
int close(int fd);
int kill(int pid, int signal);
int waitpid(int pid, int *status, int options);
void _exit(int status);
int tcgetpgrp(int fd);
]]

local Pty = {}
Pty.__index = Pty

local LIMIT = 15 -- seconds that anything may take

local function c_strings(list)
  local array = ffi.new('const char *[?]', #list + 1)
  for index, text in ipairs(list) do array[index - 1] = text end
  array[#list] = nil
  return array
end

local library = pcall(function() return ffi.C.forkpty end) and ffi.C or ffi.load 'util'

--- @param argv table the program's path and arguments
--- @param environment table NAME=value strings
--- @param rows? integer
--- @param columns? integer
local function open(argv, environment, rows, columns)
  local master = ffi.new 'int[1]'
  local args, envs = c_strings(argv), c_strings(environment)
  local size = ffi.new('pty_size', rows or 24, columns or 80, 0, 0)
  local path = argv[1]
  local pid = library.forkpty(master, nil, nil, size)
  if pid == 0 then
    ffi.C.execve(path, ffi.cast('char *const *', args), ffi.cast('char *const *', envs))
    ffi.C._exit(127)
  end
  assert(pid > 0, 'forkpty failed')
  return setmetatable({ pid = pid, fd = master[0], text = '', at = 1 }, Pty)
end

local buffer = ffi.new 'char[65536]'

--- Takes what has come within `seconds`; false when nothing has, or the other side is gone.
function Pty:pump(seconds)
  local fds = ffi.new('pty_pollfd[1]', { { fd = self.fd, events = 1 } })
  if ffi.C.poll(fds, 1, seconds * 1000) <= 0 then return false end
  local got = tonumber(ffi.C.read(self.fd, buffer, 65536))
  if got <= 0 then
    self.gone = true
    return false
  end
  self.text = self.text .. ffi.string(buffer, got)
  return true
end

--- Lets `seconds` pass.
function Pty:idle(seconds)
  local fds = ffi.new('pty_pollfd[1]', { { fd = -1, events = 0 } })
  ffi.C.poll(fds, 1, seconds * 1000)
end

function Pty:type(text) ffi.C.write(self.fd, text, #text) end

--- What appeared since the last match, without the sequences that move the cursor.
function Pty:seen()
  return (self.text:sub(self.at):gsub('\27%[[%d;?]*%a', ''):gsub('\r', ''))
end

--- Waits until the Lua pattern appears after the last match; returns what stood before it.
function Pty:wait(pattern, seconds)
  local stop = os.time() + (seconds or LIMIT)
  while true do
    local seen = self:seen()
    local first, last = seen:find(pattern)
    if first then
      self.at = #self.text + 1
      self.rest = seen:sub(last + 1)
      return seen:sub(1, first - 1)
    end
    if not self:pump(0.1) and (self.gone or os.time() >= stop) then
      error(('waited for %q, saw %q'):format(pattern, seen:sub(-2000)), 2)
    end
  end
end

--- Types a line and waits for the pattern.
function Pty:say(line, pattern)
  self:type(line .. '\r')
  return self:wait(pattern)
end

--- Waits for the end; the exit status, or minus the signal.
function Pty:finish(seconds)
  local stop, status = os.time() + (seconds or LIMIT), ffi.new 'int[1]'
  repeat
    self:pump(0.05)
    if ffi.C.waitpid(self.pid, status, 1) == self.pid then
      ffi.C.close(self.fd)
      self.over = true
      local s = status[0]
      return s % 128 == 0 and math.floor(s / 256) or -(s % 128)
    end
  until os.time() >= stop
  ffi.C.kill(self.pid, 9)
  ffi.C.waitpid(self.pid, status, 0)
  ffi.C.close(self.fd)
  error(('no end; saw %q'):format(self:seen():sub(-2000)), 2)
end

return { open = open }
