--- One planner: random graphs of all stages equal loops over arrays. time limit: 300
local helper = require 'spec_helper'

describe('random graphs', function()
  it('equal plain loops, on 1 and 2 workers, with chunks of 1, 7 and automatic size', function()
    local neap = (debug.getinfo(1, 'S').source:match '^@(.*)spec/neap/flow/' or '')
    local command = ('%sscripts/tools/flow_random'):format(neap)
    local binary = os.getenv 'NEAP_COMMAND' or neap .. 'build/release/neap'
    local count = helper.quick and 10 or 100
    local line = 'NEAP=%s luajit %s %d 1 2>&1; echo "status $?"'
    local file = io.popen(line:format(binary, command, count))
    local out = file:read '*a'
    file:close()
    assert.matches('status 0\n$', out)
  end)
end)
