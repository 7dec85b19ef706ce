local errors = require 'neap.errors'

describe('errors', function()
  it('read on one line as KIND: message', function()
    local e = errors.new('limit', { message = 'queue is full\n  (1024 tasks)' })
    assert.equal('limit: queue is full (1024 tasks)', tostring(e))
  end)

  it('are told apart by their metatable and kind', function()
    local e = errors.closed 'send on closed channel jobs'
    assert.is_true(errors.is(e))
    assert.is_true(errors.is(e, 'closed'))
    assert.is_false(errors.is(e, 'limit'))
    assert.is_false(errors.is({ kind = 'closed' }))
    assert.is_false(errors.is(nil))
  end)

  it('say where the user was when raised', function()
    local ok, e = pcall(function() errors.raise(errors.state 'unlock of unlocked') end)
    assert.is_false(ok)
    assert.equal('state', e.kind)
    assert.matches('errors_spec.lua:%d+$', e.where)
    assert.matches('^state: unlock of unlocked %(at .*errors_spec.lua:%d+%)$', tostring(e))
    assert.matches('errors_spec.lua:%d+: in function', e.traceback)
    assert.is_nil(e.traceback:find('lua/neap/', 1, true))
  end)

  it('do not take a function of LuaJIT itself for the user', function()
    local raise = loadstring('return function(_, e) require "neap.errors".raise(e) end',
      '=neap/fake.lua')()
    local e = errors.state 'x'
    pcall(table.foreach, { e }, raise)
    assert.matches('errors_spec.lua:%d+$', e.where)
  end)

  it('keep a place and a traceback that they bring', function()
    local e = errors.state 'x'
    e.where, e.traceback = 'a.lua:1', 'a.lua:1: in main chunk'
    local _, raised = pcall(errors.raise, e)
    assert.equal(e, raised)
    assert.equal('a.lua:1', raised.where)
    assert.equal('a.lua:1: in main chunk', raised.traceback)
  end)

  it('wrap what user code raised, unchanged', function()
    local value = { code = 7 }
    local e = errors.user(value, 'tb')
    assert.equal('error', e.kind)
    assert.equal(value, e.value)
    assert.equal('tb', e.traceback)
    assert.equal('etl.lua:9: boom', errors.user('etl.lua:9: boom').message)
    assert.equal('error: nil (a nil was raised)', tostring(errors.user(nil)))
    assert.equal('error: text', tostring(errors.user({ message = 'text' })))
    local speaks = setmetatable({}, { __tostring = function() return 'I speak' end })
    assert.equal('I speak', errors.user(speaks).message)
    local broken = setmetatable({}, { __tostring = function() error 'no' end })
    assert.matches('__tostring failed', errors.user(broken).message)
  end)

  it('come back as they are when raised by user code', function()
    local e = errors.closed()
    assert.equal(e, errors.user(e, 'tb'))
  end)

  it('know an exhausted memory by its kind', function()
    assert.equal('memory', errors.user('not enough memory').kind)
  end)

  it('are caught with the traceback of the user code', function()
    local function parse() error 'boom' end
    local ok, e = xpcall(parse, errors.catch)
    assert.is_false(ok)
    assert.matches('errors_spec.lua:%d+: boom', e.message)
    assert.matches('errors_spec.lua:%d+: in function', e.traceback)
  end)

  it('describe their own kind', function()
    assert.equal('canceled: lost interest', tostring(errors.canceled 'lost interest'))
    assert.equal('lost interest', errors.canceled('lost interest').cause)
    assert.equal('canceled: the context was canceled', tostring(errors.canceled()))
    assert.equal('deadline: timed out after 2.5 s', tostring(errors.deadline(2.5)))
    assert.equal('deadline: join timed out', tostring(errors.deadline(nil, 'join')))
    assert.equal('job.out is a file', errors.unsendable('job.out', 'is a file').message)
    assert.equal('job.out', errors.unsendable('job.out', 'is a file').path)
    assert.equal('buffer was moved by a send at a.lua:3', errors.moved('buffer', 'a.lua:3').message)
    assert.equal('not enough memory for a semaphore', errors.memory('semaphore').message)
    local e = errors.io('dta/x.csv', 'ENOENT', 'no such file')
    assert.equal('cannot open dta/x.csv: no such file', e.message)
    assert.equal('ENOENT', e.code)
    assert.equal('dta/x.csv', e.path)
  end)

  it('report in full', function()
    local e = errors.user('etl.lua:12: boom',
      'etl.lua:12: in function <etl.lua:11>\netl.lua:20: in main chunk')
    e.stage, e.task, e.item, e.declared = 'parse (map)', 'parse#3', { status = '-' }, 'etl.lua:11'
    e.cause = errors.closed 'closed early'
    e.also = { 'second' }
    assert.equal(table.concat({
      'error: etl.lua:12: boom',
      '  in stage parse (map), task parse#3',
      '  on {status=-}',
      '  declared at etl.lua:11',
      '  at etl.lua:12: in function <etl.lua:11>',
      '  at etl.lua:20: in main chunk',
      'caused by',
      '  closed: closed early',
      'also',
      '  error: second',
    }, '\n'), e:report())
  end)

  it('report a cause that leads back to itself', function()
    local e = errors.closed()
    e.cause = e
    assert.is_string(e:report())
  end)

  it('know our own chunks on disk and generated ones', function()
    local home = debug.getinfo(errors.new, 'S').source
    assert.is_true(errors.is_ours(home))
    assert.is_true(errors.is_ours(home:gsub('errors', 'sync/mutex')))
    assert.is_true(errors.is_ours('=neap/segment'))
    assert.is_false(errors.is_ours('@etl.lua'))
    assert.is_false(errors.is_ours(debug.getinfo(1, 'S').source))
  end)
end)
