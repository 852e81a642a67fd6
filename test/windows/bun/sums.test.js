import {test,expect} from 'bun:test'; test('adds',()=>expect(1+1).toBe(2)); test('fails',()=>expect(1).toBe(2)); test('async',async()=>{await Bun.sleep(5); expect([1,{a:2}]).toEqual([1,{a:2}])});
