import {b} from "./b.ts"; import c from "./c.json"; console.log(b(3), c.x)
